// One CSV of tweets, split into parts by a seed; web addresses and mentions become one word each.
//
//   CSV                            the file
//   TEXT_COLUMN, LABEL_COLUMN      names of its columns
//   ELMO_OPTIONS, ELMO_WEIGHTS     the biLM
local file = std.extVar('CSV');

(import 'pooled.jsonnet') {
  dataset_reader+: {
    text_column: std.extVar('TEXT_COLUMN'),
    label_column: std.extVar('LABEL_COLUMN'),
    replace_urls: 'URL',
    replace_mentions: '@user',
    split: { train: 0.8, dev: 0.1, test: 0.1 },
  },
  train_data_path: file + '#train',
  validation_data_path: file + '#dev',
  test_data_path: file + '#test',
}
