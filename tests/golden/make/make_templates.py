"""Two chat templates of our own wording, rendered and masked as transformers does, and single constructs."""

import json

from jinja2.exceptions import TemplateError
from own_texts import TALKS
from tokenizers import Tokenizer
from transformers.utils.chat_template_utils import render_jinja_template

TURNS = r"""{%- macro part(role, text) -%}
<|turn|>{{ role }}
{{ text }}<|close|>
{% endmacro -%}
{%- if messages and messages[0]['role'] == 'system' -%}
    {{- part('plant', messages[0]['content'] | trim) }}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {{- part('plant', 'Answer as the shift leader of this line.') }}
    {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
    {%- if message.role == 'user' -%}
        {{- part('operator', message.content) }}
    {%- elif message.role == 'assistant' -%}
        BEGIN<|turn|>leader
{{ message.content }}<|close|>{{ '\n' }}END
    {%- else -%}
        {{- raise_exception('a turn is of the operator or of the leader, not of: ' ~ message.role) }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|turn|>leader
{% endif -%}
"""

NUMBERED = """{% set state = namespace(number=0) %}{{ bos_token }}{% for message in messages if message['role'] != 'system' %}{% if message['role'] == 'user' %}{% set state.number = state.number + 1 %}
[{{ state.number }}] {{ message['content'].strip() }}
{% elif message['role'] == 'assistant' %}BEGIN= {{ message['content'] | trim }}{{ eos_token }}
END{% else %}{{ raise_exception('no ' + message['role'] | upper + ' here') }}{% endif %}{% endfor %}{% if add_generation_prompt %}= {% endif %}"""

FAMILIES = {
    "own_turns": (TURNS, "own_byte_level", {"eos_token": "<|end|>"}),
    "own_numbered": (NUMBERED, "own_unigram", {"bos_token": "<s>", "eos_token": "</s>"}),
}

CONSTRUCTS = [
    ("filter", "{{ name | upper }}-{{ name | length }}", {"name": "pump"}),
    ("default", "{{ missing | default('none') }}", {}),
    ("loop", "{% for x in items %}{{ loop.index }}:{{ x }}{{ ', ' if not loop.last }}{% endfor %}",
     {"items": ["a", "나", 3]}),
    ("loop_else", "{% for x in items %}{{ x }}{% else %}nothing{% endfor %}", {"items": []}),
    ("tojson", "{{ value | tojson }}", {"value": {"온도": 71.4, "on": True, "list": [1, None]}}),
    ("slice", "{{ items[1:] }}{{ items[-1] }}{{ items[::-1] }}", {"items": [1, 2, 3]}),
    ("string_methods", "{{ ' Pump 3 '.strip().lower().replace('p', 'b') }}{{ 'a,b'.split(',') }}", {}),
    ("arithmetic", "{{ 7 // 2 }} {{ 7 % 3 }} {{ 2 ** 3 }} {{ 1 / 4 }} {{ -7 // 2 }}", {}),
    ("join", "{{ items | map(attribute='name') | join(' + ') }}", {"items": [{"name": "a"}, {"name": "b"}]}),
    ("select", "{{ items | selectattr('hot') | list | length }}", {"items": [{"hot": True}, {"hot": False}]}),
    ("tests", "{{ x is string }} {{ y is mapping }} {{ z is defined }} {{ 3 is number }}", {"x": "a", "y": {}}),
    ("set_block", "{% set t %}a{{ 1 + 1 }}{% endset %}{{ t }}{{ t }}", {}),
    ("scope", "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{% endfor %}{{ x }}", {}),
    ("namespace", "{% set n = namespace(x=1) %}{% for i in [1, 2] %}{% set n.x = n.x + i %}{% endfor %}{{ n.x }}", {}),
    ("control", "a {%- if true %} b {% endif -%} c", {}),
    ("undefined_attribute", "{{ missing.part }}", {}),
    ("raised", "{{ raise_exception('not here') }}", {}),
    ("bad_end", "{% if true %}x", {}),
]


def variants(source):
    """The template without marks, and with its answers in generation blocks."""
    plain = source.replace("BEGIN", "").replace("END", "")
    marked = source.replace("BEGIN", "{% generation %}").replace("END", "{% endgeneration %}")
    return plain, marked


def rendered(template, messages, variables, masks=False):
    texts, spans = render_jinja_template([messages], chat_template=template, return_assistant_tokens_mask=masks,
                                         add_generation_prompt=variables.get("add_generation_prompt", False),
                                         **{key: value for key, value in variables.items() if
                                            key != "add_generation_prompt"})
    return texts[0], spans[0] if masks else []


def cases_of(template, fixed):
    for name, messages in TALKS.items():
        for prompt in (False, True):
            variables = {**fixed, **({"add_generation_prompt": True} if prompt else {})}
            case = {"name": name + ("_prompt" if prompt else ""), "messages": messages, "variables": variables}
            try:
                case["rendered"] = rendered(template, messages, variables)[0]
            except TemplateError as error:
                case["rendered"] = None
                case["error"] = {"type": type(error).__name__, "text": str(error)}
            yield case


def byte_span(text, begin, end):
    return [len(text[:begin].encode("utf-8")), len(text[:end].encode("utf-8"))]


def mask_of(found, spans):
    """As apply_chat_template sets it: from the token of a span's first character to that of its last."""
    mask = [0] * len(found.ids)
    for begin, end in spans:
        first, last = found.char_to_token(begin), found.char_to_token(end - 1)
        if first is None:
            break
        for at in range(first, last + 1 if last is not None else len(mask)):
            mask[at] = 1
    return mask


def masks_of(plain, marked, fixed, tokenizer):
    for name, messages in TALKS.items():
        try:
            text, spans = rendered(marked, messages, fixed, masks=True)
        except TemplateError:
            continue
        if text != rendered(plain, messages, fixed)[0]:
            raise SystemExit(f"{name}: the two forms of the template differ")
        found = tokenizer.encode(text, add_special_tokens=False)
        yield {"name": name, "messages": messages, "variables": fixed, "rendered": text,
               "generation_spans": [byte_span(text, *span) for span in spans], "ids": found.ids,
               "assistant_masks": mask_of(found, spans)}


def construct_rows():
    for name, template, context in CONSTRUCTS:
        row = {"name": name, "template": template, "context": context}
        try:
            texts, _ = render_jinja_template([[]], chat_template=template, **context)
            row["expected"] = texts[0]
        except TemplateError as error:
            row["error_type"] = type(error).__name__
            row["error_contains"] = str(error)
        yield row


def write_json(path, document):
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")


def write_templates(folder, tokenizers):
    for name, (source, tokenizer, fixed) in FAMILIES.items():
        out = folder / name
        out.mkdir(parents=True)
        plain, marked = variants(source)
        (out / "template.jinja").write_text(plain, "utf-8")
        (out / "template.generation.jinja").write_text(marked, "utf-8")
        write_json(out / "cases.json", list(cases_of(plain, fixed)))
        library = Tokenizer.from_file(str(tokenizers / tokenizer / "tokenizer.json"))
        write_json(out / "masks.json", {"tokenizer": tokenizer, "cases": list(masks_of(plain, marked, fixed, library))})
    (folder / "constructs").mkdir()
    (folder / "constructs" / "cases.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in construct_rows()), "utf-8")
