"""Engine 1, the biLM: options -> weights -> character ids -> character CNN -> LSTM layers -> mix."""
