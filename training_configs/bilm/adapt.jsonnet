// Domain adaptation: a biLM from an .hdf5 file learns on with text of another kind. Its softmax, which no .hdf5 holds,
// starts at random.
//
//   ELMO_OPTIONS, ELMO_WEIGHTS     the biLM
//   LM_TEXT, LM_VOCAB              as in small.jsonnet
local lib = import '../lib/bilm.libsonnet';

{
  dataset_reader: lib.reader(),
  train_data_path: lib.train(std.extVar('LM_TEXT')),
  validation_data_path: lib.held_out(std.extVar('LM_TEXT')),
  vocabulary: lib.vocabulary(std.extVar('LM_VOCAB')),
  model: {
    type: 'elmo_bilm',
    options_file: std.extVar('ELMO_OPTIONS'),
    weight_file: std.extVar('ELMO_WEIGHTS'),
    samples: 8192,
    dropout: 0.1,
  },
  data_loader: lib.streams(),
  validation_data_loader: lib.whole_sentences(),
  trainer: lib.trainer(num_epochs=3, optimizer={ type: 'adamw', lr: 0.0005 }, grad_norm=1.0) {
    learning_rate_scheduler: { type: 'linear_with_warmup', warmup_steps: 500 },
  },
}
