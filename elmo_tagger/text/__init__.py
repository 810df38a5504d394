"""Engine 3, words: files in and out, tokens with character offsets, static vectors."""
