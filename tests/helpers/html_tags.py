# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Parses HTML as a browser would: its tags with their attributes, and its text."""

from html.parser import HTMLParser


class Tags(HTMLParser):
    """All tags with their attributes, and all text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]
