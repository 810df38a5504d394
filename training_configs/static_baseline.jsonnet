// What ELMo is compared with: static vectors and a character CNN under the same BiLSTM-CRF.
//
//   TRAIN, DEV, TEST     column files, any tag scheme
//   VECTORS              static word vectors as text (GloVe, word2vec, fastText), .gz too
//   VECTORS_DIM          their width
local lib = import 'lib/tagger.libsonnet';

{
  dataset_reader: lib.reader({
    tokens: { type: 'single_id', lowercase_tokens: true },
    characters: lib.character_cnn_indexer,
  }),
  train_data_path: std.extVar('TRAIN'),
  validation_data_path: std.extVar('DEV'),
  test_data_path: std.extVar('TEST'),
  evaluate_on_test: true,
  model: lib.tagger({
    tokens: {
      type: 'embedding',
      embedding_dim: std.parseInt(std.extVar('VECTORS_DIM')),
      pretrained_file: std.extVar('VECTORS'),
      trainable: true,
    },
    characters: lib.character_cnn(),
  }),
  data_loader: lib.shuffled(32),
  trainer: lib.trainer(num_epochs=75, patience=15),
}
