"""What the reference of VADER scores texts with: reads a JSON list of texts, and prints the list of their compound
scores."""

import json
import sys

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

analyzer = SentimentIntensityAnalyzer()
with open(sys.argv[1], encoding="utf-8") as file:
    texts = json.load(file)
print(json.dumps([analyzer.polarity_scores(text)["compound"] for text in texts]))
