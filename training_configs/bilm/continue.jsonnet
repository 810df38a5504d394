// Trains a biLM further than its config said, softmax included, with a new learning rate. (A training that was
// interrupted goes on with `allennlp train --recover` and its own config.)
//
//   RUN          archive of the training so far, model.tar.gz
//   LM_TEXT      as in small.jsonnet
local lib = import '../lib/bilm.libsonnet';

{
  dataset_reader: lib.reader(),
  train_data_path: lib.train(std.extVar('LM_TEXT')),
  validation_data_path: lib.held_out(std.extVar('LM_TEXT')),
  vocabulary: { type: 'from_files', directory: std.extVar('RUN') },
  model: { type: 'from_archive', archive_file: std.extVar('RUN') },
  // another order than that of the training so far
  data_loader: lib.streams(streams=256) { seed: 1 },
  validation_data_loader: lib.whole_sentences(),
  trainer: lib.trainer(num_epochs=3, optimizer={ type: 'adamw', lr: 0.001, weight_decay: 0.01 }, grad_norm=1.0) {
    learning_rate_scheduler: { type: 'linear_with_warmup', warmup_steps: 500 },
  },
}
