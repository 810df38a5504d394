// A small biLM that one GPU can train: AdamW with warm-up, bfloat16, sampled softmax. (A CPU without units for bfloat16
// is faster with --overrides '{"model.precision": "float32"}'.)
//
//   LM_TEXT      text, one tokenised sentence a line: file, pattern such as parts/*.xz, or directory of a prepared text
//   LM_VOCAB     vocabulary in bilm-tf's format, as `elmo-tagger vocab` writes it
//   EPOCHS       passes over the text
local lib = import '../lib/bilm.libsonnet';
local epochs = std.parseInt(std.extVar('EPOCHS'));

{
  dataset_reader: lib.reader(),
  train_data_path: lib.train(std.extVar('LM_TEXT')),
  validation_data_path: lib.held_out(std.extVar('LM_TEXT')),
  vocabulary: lib.vocabulary(std.extVar('LM_VOCAB')),
  model: {
    type: 'elmo_bilm',
    options: lib.options(
      dim=1024,
      projection_dim=128,
      char_dim=16,
      filters=[[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
      n_highway=1,
    ),
    samples: 8192,
    dropout: 0.1,
    precision: 'bfloat16',
  },
  data_loader: lib.streams(streams=256, steps=20),
  validation_data_loader: lib.whole_sentences(),
  trainer: lib.trainer(num_epochs=epochs, optimizer={ type: 'adamw', lr: 0.002, weight_decay: 0.01 }, grad_norm=1.0) {
    learning_rate_scheduler: { type: 'linear_with_warmup', warmup_steps: 1000 },
  },
}
