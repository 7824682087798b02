"""From a trained model or arrays to scores: encoding, scoring, advice, audit."""
