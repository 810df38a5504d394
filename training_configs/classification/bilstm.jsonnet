// A BiLSTM over ELMo vectors, whose last states are classified. Variables as in pooled.jsonnet.
local lib = import '../lib/classifier.libsonnet';
local config = import 'pooled.jsonnet';
local hidden_size = 128;

config {
  model+: {
    local dim = super.seq2vec_encoder.embedding_dim,
    seq2vec_encoder: lib.bilstm(dim, hidden_size),
    feedforward: lib.dense(2 * hidden_size),
  },
}
