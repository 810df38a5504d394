"""`lm_vocabulary`: the words that a biLM learns to predict, from a file in bilm-tf's format."""

from allennlp.common.checks import ConfigurationError
from allennlp.data.vocabulary import Vocabulary

from elmo_tagger.bilm.training import LmVocabulary

NAMESPACE = "lm_words"


@Vocabulary.register("lm_vocabulary", constructor="from_vocabulary_file")
class LmWords(Vocabulary):
    """An AllenNLP vocabulary whose namespace `lm_words` has the lines of a file, in their order.

    AllenNLP stores it with each training and in the archive, so the file is needed but once.
    """

    @classmethod
    def from_vocabulary_file(cls, vocabulary_file: str) -> "LmWords":
        """Reads the file, which `elmo-tagger vocab` writes.

        Args:
            vocabulary_file: One word a line, `<S>`, `</S>` and `<UNK>` first, then by descending frequency.

        Raises:
            ConfigurationError: See `LmVocabulary`.
        """
        try:
            words = LmVocabulary.from_file(vocabulary_file)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        vocabulary = cls(non_padded_namespaces=[NAMESPACE])
        vocabulary.add_tokens_to_namespace(list(words.words), NAMESPACE)
        return vocabulary


def predicted_words(vocab: Vocabulary) -> LmVocabulary:
    """The words of an AllenNLP vocabulary that a biLM predicts.

    Raises:
        ConfigurationError: There are none.
    """
    if NAMESPACE not in vocab.get_namespaces():
        raise ConfigurationError(
            'the vocabulary has no words to predict: set "vocabulary": {"type": "lm_vocabulary", "vocabulary_file": ..}'
        )
    words = vocab.get_index_to_token_vocabulary(NAMESPACE)
    return LmVocabulary([words[number] for number in range(len(words))])
