// The mean of a text's ELMo vectors under one dense layer: a tweet's sentiment, a question's kind.
//
//   TRAIN, DEV, TEST               CSV, TSV or JSON lines (.jsonl) with the columns `text` and `label`
//   ELMO_OPTIONS, ELMO_WEIGHTS     the biLM
local lib = import '../lib/classifier.libsonnet';

{
  dataset_reader: lib.reader(),
  train_data_path: std.extVar('TRAIN'),
  validation_data_path: std.extVar('DEV'),
  test_data_path: std.extVar('TEST'),
  evaluate_on_test: true,
  model: lib.classifier(lib.embedder(std.extVar('ELMO_OPTIONS'), std.extVar('ELMO_WEIGHTS'), dropout=0.0)) {
    regularizer: lib.l2(),
  },
  data_loader: lib.shuffled(32),
  trainer: lib.trainer(num_epochs=40, patience=8),
}
