// The biLM of the package (elmo_tagger/bilm/starter): small enough for one CPU core to train in an afternoon. Streams
// begin all over the text, and each goes as far as the budget lasts; no sentence comes twice.
//
//   LM_TEXT      text, one tokenised sentence a line: file, pattern such as parts/*.xz, or directory of a prepared text
//   LM_VOCAB     vocabulary in bilm-tf's format, as `elmo-tagger vocab` writes it
//   LM_CHECK     of these files the last sentences are the held-out ones between epochs: a part of LM_TEXT
//   EPOCHS       of 480 batches, 2.5 million tokens, each; the package's had 25
local lib = import '../lib/bilm.libsonnet';
local epochs = std.parseInt(std.extVar('EPOCHS'));

{
  dataset_reader: lib.reader(),
  train_data_path: lib.train(std.extVar('LM_TEXT')),
  validation_data_path: lib.held_out(std.extVar('LM_CHECK')),
  vocabulary: lib.vocabulary(std.extVar('LM_VOCAB')),
  model: {
    type: 'elmo_bilm',
    options: lib.options(
      dim=512,
      projection_dim=128,
      char_dim=16,
      filters=[[1, 32], [2, 32], [3, 64], [4, 128], [5, 128], [6, 128]],
      n_highway=1,
    ),
    samples: 4096,
    // no token is seen twice
    dropout: 0.0,
    precision: 'bfloat16',
  },
  data_loader: lib.streams(streams=256, steps=20) { batches_per_epoch: 480 },
  validation_data_loader: lib.whole_sentences(),
  trainer: lib.trainer(
    num_epochs=epochs,
    optimizer={ type: 'adamw', lr: 0.003, weight_decay: 0.01 },
    grad_norm=1.0,
    save_every=160,
  ) {
    learning_rate_scheduler: { type: 'linear_with_warmup', warmup_steps: 300 },
  },
}
