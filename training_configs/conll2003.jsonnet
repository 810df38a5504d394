// The ELMo paper's named-entity recogniser: ELMo, 50-dimensional GloVe and a character CNN under a BiLSTM-CRF.
// Unlike AllenNLP's ner_elmo.jsonnet it shuffles, and stops on the development set; the test set is scored once.
//
//   CONLL2003     directory with eng.train, eng.testa, eng.testb
//   ELMO_OPTIONS, ELMO_WEIGHTS     the biLM
//   GLOVE         glove.6B.50d.txt.gz
local lib = import 'lib/tagger.libsonnet';
local data = std.extVar('CONLL2003');
local batch_size = 64;

{
  dataset_reader: lib.reader({
    elmo: { type: 'elmo_hdf5', static_namespace: 'static_words' },
    characters: lib.character_cnn_indexer,
  }),
  train_data_path: data + '/eng.train',
  validation_data_path: data + '/eng.testa',
  test_data_path: data + '/eng.testb',
  evaluate_on_test: true,
  model: lib.tagger({
    elmo: {
      type: 'elmo_hdf5',
      options_file: std.extVar('ELMO_OPTIONS'),
      weight_file: std.extVar('ELMO_WEIGHTS'),
      dropout: 0.0,
      static: { namespace: 'static_words', pretrained_file: std.extVar('GLOVE'), trainable: true },
    },
    characters: lib.character_cnn(),
  }) { regularizer: lib.mix_regularizer(batch_size) },
  data_loader: lib.shuffled(batch_size),
  trainer: lib.trainer(num_epochs=75, patience=25),
}
