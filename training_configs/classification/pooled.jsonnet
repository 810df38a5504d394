// The mean of a text's ELMo vectors under one dense layer: a tweet's sentiment, a question's kind.
//
//   TRAIN, DEV, TEST               JSON lines with `text` and `label`
//   ELMO_OPTIONS, ELMO_WEIGHTS     the biLM
//   ELMO_PROJECTION_DIM            its lstm.projection_dim (512 for the published large ones)
local lib = import '../lib/classifier.libsonnet';
local dim = lib.elmo_dim(std.parseInt(std.extVar('ELMO_PROJECTION_DIM')));

{
  dataset_reader: lib.reader(),
  train_data_path: std.extVar('TRAIN'),
  validation_data_path: std.extVar('DEV'),
  test_data_path: std.extVar('TEST'),
  evaluate_on_test: true,
  model: {
    type: 'basic_classifier',
    text_field_embedder: lib.embedder(std.extVar('ELMO_OPTIONS'), std.extVar('ELMO_WEIGHTS'), dropout=0.0),
    seq2vec_encoder: lib.masked_mean(dim),
    feedforward: lib.dense(dim),
    regularizer: lib.l2(),
  },
  data_loader: lib.shuffled(32),
  trainer: lib.trainer(num_epochs=40, patience=8),
}
