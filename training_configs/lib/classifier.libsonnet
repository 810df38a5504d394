// What the classifier configs share: AllenNLP's own reader and model around elmo_hdf5.
{
  // {"text": "tokens set apart by spaces", "label": "..."}, one a line.
  reader():: {
    type: 'text_classification_json',
    tokenizer: 'just_spaces',
    // `tokens` is for the output alone: basic_classifier looks the words up that it prints.
    token_indexers: { elmo: { type: 'elmo_hdf5' }, tokens: { type: 'single_id' } },
  },

  shuffled(batch_size):: {
    type: 'pinned',
    batch_sampler: { type: 'bucket', batch_size: batch_size, sorting_keys: ['tokens'] },
  },

  // Width of a token's vector: both directions.
  elmo_dim(projection_dim):: 2 * projection_dim,

  embedder(options_file, weight_file, dropout):: {
    token_embedders: {
      elmo: { type: 'elmo_hdf5', options_file: options_file, weight_file: weight_file, dropout: dropout },
      tokens: { type: 'empty' },
    },
  },

  // Mean over the words, without padding.
  masked_mean(dim):: { type: 'boe', embedding_dim: dim, averaged: true },

  // Both directions' last states, side by side.
  bilstm(input_dim, hidden_size):: {
    type: 'lstm',
    input_size: input_dim,
    hidden_size: hidden_size,
    bidirectional: true,
  },

  // pooled vector -> dense relu -> labels.
  dense(input_dim, hidden_dim=256, dropout=0.2):: {
    input_dim: input_dim,
    num_layers: 1,
    hidden_dims: hidden_dim,
    activations: 'relu',
    dropout: dropout,
  },

  l2(alpha=0.001):: { regexes: [['_feedforward.*weight', { type: 'l2', alpha: alpha }]] },

  // Curves in TensorBoard (runs/.../log), where the mix is among the parameters' means, and for `elmo-tagger plot`.
  trainer(num_epochs, patience, lr=0.001):: {
    optimizer: { type: 'adam', lr: lr },
    grad_norm: 5.0,
    num_epochs: num_epochs,
    patience: patience,
    validation_metric: '+accuracy',
    callbacks: [
      { type: 'console_logger', should_log_inputs: false },
      { type: 'tensorboard', should_log_learning_rate: true },
    ],
  },
}
