// A BiLSTM over ELMo vectors, whose last states are classified. Variables as in pooled.jsonnet.
local lib = import '../lib/classifier.libsonnet';

(import 'pooled.jsonnet') {
  model+: { seq2vec_encoder: lib.bilstm(hidden_size=128) },
}
