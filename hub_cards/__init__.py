"""How gem-ecg looks on the Hub: card templates (jinja2)."""
