"""Texts of the project's own from which tokenizers are made, and on which they and the templates are tried."""

CORPUS = """
The spindle of machine 7 ran hot at 14:32, load 83 %, torque 12.5 Nm. The operator reduced the feed and it cooled.
Bearing temperature 71.4 C, vibration 2.31 mm/s. Replace the bearing within 200 hours, order part no. BR-6204-2RS.
The hydraulic press stopped: pressure below 140 bar. Check the pump, the filter and the valve, then restart it.
It's the third stop this week; we've asked maintenance, they'll look at it. Don't open the guard while it's moving!
Coolant level low. Refill the tank with 20 litres of emulsion, concentration 6-8 %.
7호기 주축이 14시 32분에 과열되었습니다. 부하 83 %, 토크 12.5 Nm. 작업자가 이송 속도를 낮추자 식었습니다.
베어링 온도 71.4도, 진동 2.31 mm/s. 200시간 안에 베어링을 교체하십시오. 부품 번호 BR-6204-2RS.
유압 프레스가 멈췄습니다. 압력이 140 bar 아래입니다. 펌프와 필터와 밸브를 점검한 뒤 다시 시작하십시오.
이번 주에 세 번째 정지입니다. 정비팀에 요청했습니다. 작동 중에는 덮개를 열지 마십시오!
절삭유가 부족합니다. 탱크에 유제 20리터를 농도 6-8 %로 채우십시오.
Anna said: "No. 3 is fine", but sensor S-104 shows 98.6 and rises by 0.2 every minute -- so it is not.
Schicht B meldet: Öltemperatur über 85 °C, Kühler prüfen. L'équipe a changé le joint, tout va bien.
日本語の記録: 主軸の温度が高い。 中文记录：主轴温度过高。
x = 3 * (a[i] + b[j]);  // 12,345.678 units\tand a tab
"""

TEXTS = {
    "empty": "",
    "space": " ",
    "spaces": "    ",
    "newlines": "\n\n\n",
    "mixed_space": " \t\n  x \r\n y ",
    "word": "spindle",
    "leading_space": " spindle",
    "trailing_space": "spindle ",
    "sentence": "The spindle of machine 7 ran hot at 14:32, load 83 %.",
    "contractions": "it's we've they'll DON'T I'm he'd",
    "numbers": "0 12 345 6789 1234567.890 -3.5e-7 1,000",
    "korean": "베어링 온도가 높습니다. 85도!",
    "korean_letters": "\u1112\u1161\u11ab",
    "mixed": "3호기 spindle 온도 71.4C 경보",
    "emoji": "ok \U0001f44d\U0001f3fd and \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "accents": "\u00d6ltemperatur \u00fcber, l'\u00e9quipe",
    "combining": "e\u0301 o\u0308",
    "full_width": "\uff21\uff22\uff23 \uff11\uff12\uff13",
    "cjk": "主軸の温度が高い",
    "rare": "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0905 \u16a0",
    "code": "if (a[i] != b) { return x->y; }  // done",
    "punctuation": "...!?;:--()[]{}<>@#$%^&*",
    "long_word": "a" * 60,
    "repeat": "bearing bearing bearing bearing",
    "paragraph": CORPUS.strip()[:600],
}

# Conversations on which templates are rendered.
TALKS = {
    "one_question": [{"role": "user", "content": "Why is the spindle hot?"}],
    "system": [{"role": "system", "content": "  You help the operators of one plant. "},
               {"role": "user", "content": "베어링은 괜찮습니까?"}],
    "answered": [{"role": "user", "content": "Load?"}, {"role": "assistant", "content": "83 %"}],
    "two_turns": [{"role": "user", "content": "온도는?"}, {"role": "assistant", "content": "71.4도입니다."},
                  {"role": "user", "content": "And the load?"}, {"role": "assistant", "content": "83 %, high."}],
    "system_two_turns": [{"role": "system", "content": "Short answers."}, {"role": "user", "content": "a\nb"},
                         {"role": "assistant", "content": ""}, {"role": "user", "content": "again"},
                         {"role": "assistant", "content": "yes\n"}],
    "unknown_role": [{"role": "machine", "content": "stopped"}],
    "no_turn": [],
}
