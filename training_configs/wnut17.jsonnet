// Emerging entities in social media (WNUT-17): ELMo, static vectors and a character CNN.
//
//   WNUT17                         directory with train.conll, dev.conll, test.conll
//   ELMO_OPTIONS, ELMO_WEIGHTS     the biLM
//   VECTORS                        static word vectors as text, .gz too
local lib = import 'lib/tagger.libsonnet';
local data = std.extVar('WNUT17');
local batch_size = 32;

{
  dataset_reader: lib.reader({
    elmo: { type: 'elmo_hdf5', static_namespace: 'static_words' },
    characters: lib.character_cnn_indexer,
  }),
  train_data_path: data + '/train.conll',
  validation_data_path: data + '/dev.conll',
  test_data_path: data + '/test.conll',
  evaluate_on_test: true,
  model: lib.tagger({
    elmo: {
      type: 'elmo_hdf5',
      options_file: std.extVar('ELMO_OPTIONS'),
      weight_file: std.extVar('ELMO_WEIGHTS'),
      dropout: 0.3,
      static: { namespace: 'static_words', pretrained_file: std.extVar('VECTORS') },
    },
    characters: lib.character_cnn(),
  }, hidden_size=100, layers=1) { regularizer: lib.mix_regularizer(batch_size) },
  data_loader: lib.shuffled(batch_size),
  trainer: lib.trainer(num_epochs=40, patience=6, lr=0.002),
}
