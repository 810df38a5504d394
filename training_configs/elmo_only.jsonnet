// ELMo alone under a BiLSTM-CRF, on any column files.
//
//   TRAIN, DEV, TEST               column files, any tag scheme
//   ELMO_OPTIONS, ELMO_WEIGHTS     the biLM
local lib = import 'lib/tagger.libsonnet';
local batch_size = 32;

{
  dataset_reader: lib.reader({ elmo: { type: 'elmo_hdf5' } }),
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
    },
  }, layers=1) { regularizer: lib.mix_regularizer(batch_size) },
  data_loader: lib.shuffled(batch_size),
  trainer: lib.trainer(num_epochs=75, patience=15),
}
