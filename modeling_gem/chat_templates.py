# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Chat templates. The placeholders of a turn always precede its text. A block of the type `audio` is an ECG too, because vLLM's chat API
accepts ECGs only under that name.
"""

# A turn's content with all its `<ecg>` and `<image>` placeholders first, a line break, then its text.
_FLATTEN = (
    "{%- macro flat(content) -%}"
    "{%- if content is string -%}{{ content }}{%- else -%}"
    "{%- set media = content | rejectattr('type', 'equalto', 'text') | list -%}"
    "{%- for block in media -%}{{ '<ecg>' if block['type'] in ('ecg', 'audio') else '<image>' }}{%- endfor -%}"
    "{%- if media -%}{{ '\\n' }}{%- endif -%}"
    "{%- for block in content if block['type'] == 'text' -%}{{ block['text'] }}{%- endfor -%}"
    "{%- endif -%}{%- endmacro -%}"
)

# The original's "llava_v1" conversation (note "human" where vicuna_v1 has "user"). The space after BOS stands for the dummy
# prefix that a SentencePiece tokenizer gives the first word only where no token precedes it.
LLAVA_V1 = (
    _FLATTEN + "{{- bos_token + ' ' -}}"
    '{%- set default_system = "A chat between a curious human and an artificial intelligence assistant. The assistant '
    "gives helpful, detailed, and polite answers to the human's questions.\" -%}"
    "{%- if messages[0]['role'] == 'system' -%}{{ flat(messages[0]['content']) + ' ' }}"
    "{%- else -%}{{ default_system + ' ' }}{%- endif -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{ 'USER: ' + flat(message['content']) + ' ASSISTANT:' }}"
    "{%- elif message['role'] == 'assistant' -%}"
    "{%- generation -%}{{ ' ' + flat(message['content']) + eos_token }}{%- endgeneration -%}"
    "{%- endif -%}{%- endfor -%}"
)

CHATML = (
    _FLATTEN + "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- generation -%}{{ flat(message['content']) + '<|im_end|>' }}{%- endgeneration -%}{{ '\\n' }}"
    "{%- else -%}{{ flat(message['content']) + '<|im_end|>\\n' }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)

# `flat` for models to which every word of a question is a token: small letters, and `_` before each word.
_IN_WORDS = (
    "{%- macro worded(text) -%}"
    "{%- set text = text | lower | replace('\u2019', \"'\") -%}"
    "{%- set text = text | replace('-', '- ') | replace('/', '/ ') | replace('(', '( ') -%}"
    "{{ '_' + text.split() | join('_') }}"
    "{%- endmacro -%}"
) + _FLATTEN.replace("flat(content)", "asked(content)").replace("{{ content }}", "{{ worded(content) }}").replace(
    "{{ block['text'] }}", "{{ worded(block['text']) }}"
)


def _plain(user: str) -> str:
    return (
        _FLATTEN + "{{- bos_token -}}{%- for message in messages -%}"
        "{%- if message['role'] == 'assistant' -%}"
        "{%- generation -%}{{ flat(message['content']) + eos_token }}{%- endgeneration -%}"
        "{%- else -%}{{ " + user + "(message['content']) + '\n' }}{%- endif -%}"
        "{%- endfor -%}"
    )


# For small models with a vocabulary of their own: no system prompt to spend tokens on.
PLAIN = _plain("flat")
WORDED = _IN_WORDS + _plain("asked")


def multimodal_chat_template(text_template: str | None) -> str:
    """The template for a language model that comes with `text_template`: ChatML and models without one get ours, any
    other is wrapped so that it sees plain strings."""
    if text_template is None:
        return LLAVA_V1.replace("{{- bos_token + ' ' -}}", "{{- bos_token or '' -}}")
    if "<|im_start|>" in text_template:
        return CHATML
    return (
        _FLATTEN + "{%- set plain = namespace(messages=[]) -%}{%- for message in messages -%}"
        "{%- set plain.messages = plain.messages + [dict(message, content=flat(message['content']))] -%}{%- endfor -%}"
        "{%- set messages = plain.messages -%}" + text_template
    )
