// The biLM of the ELMo paper, trained as it was: AdaGrad, sampled softmax, 3 passes, 20 steps in 128 streams a GPU.
//
//   LM_TEXT      text, one tokenised sentence a line: file, pattern such as parts/*.xz, or directory of a prepared text
//   LM_VOCAB     vocabulary in bilm-tf's format, as `elmo-tagger vocab` writes it
//
// On several GPUs: --overrides '{"distributed": {"cuda_devices": [0, 1, 2]}}'.
local lib = import '../lib/bilm.libsonnet';
local steps = 20;

{
  dataset_reader: lib.reader(),
  train_data_path: lib.train(std.extVar('LM_TEXT')),
  validation_data_path: lib.held_out(std.extVar('LM_TEXT')),
  vocabulary: lib.vocabulary(std.extVar('LM_VOCAB')),
  model: {
    type: 'elmo_bilm',
    options: lib.options(
      dim=4096,
      projection_dim=512,
      char_dim=16,
      filters=[[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
      n_highway=2,
    ),
    samples: 8192,
    dropout: 0.1,
    // the original's loss is summed over the steps, which its bound on the gradients' norm takes for granted
    loss_scale: steps,
  },
  data_loader: lib.streams(streams=128, steps=steps),
  validation_data_loader: lib.whole_sentences(),
  // TensorFlow starts AdaGrad's sums at 1
  trainer: lib.trainer(
    num_epochs=3,
    optimizer={ type: 'adagrad', lr: 0.2, initial_accumulator_value: 1.0 },
    grad_norm=10.0,
  ),
}
