// ELMo beside static vectors under a BiLSTM-CRF, on any column files: what experiments/elmo_gain found best on small corpora.
//
//   TRAIN, DEV, TEST               column files, any tag scheme
//   ELMO_OPTIONS, ELMO_WEIGHTS     the biLM
//   VECTORS                        static word vectors as text (GloVe, word2vec, fastText), .gz too
local lib = import 'lib/tagger.libsonnet';

{
  dataset_reader: lib.reader({ elmo: { type: 'elmo_hdf5', static_namespace: 'static_words' } }),
  train_data_path: std.extVar('TRAIN'),
  validation_data_path: std.extVar('DEV'),
  test_data_path: std.extVar('TEST'),
  evaluate_on_test: true,
  model: lib.tagger({
    elmo: {
      type: 'elmo_hdf5',
      options_file: std.extVar('ELMO_OPTIONS'),
      weight_file: std.extVar('ELMO_WEIGHTS'),
      dropout: 0.5,
      static: { namespace: 'static_words', pretrained_file: std.extVar('VECTORS'), trainable: true, oov: 'random' },
    },
  }, hidden_size=128, layers=1),
  data_loader: lib.shuffled(16),
  trainer: lib.trainer(num_epochs=40, patience=8, lr=0.004),
}
