"""What is refused: acts, limits switched off, text that talks to the reader."""

import re
from typing import Final

from policies.intent.interpret.canon import Board
from policies.intent.model import Finding

# Attempts to give the reader orders taint everything after them.
_OVERRIDE: Final = re.compile(
    r"(?<!\w)(?:(?:ignore|disregard|forget|override|bypass|skip|drop|discard|overrule)\b.{0,30}?\b(?:instructions?|prompts?|rules|guidelines|guardrails|restrictions|polic(?:y|ies)|constraints|context|everything (?:above|before|you)|what (?:you|i|we) (?:were|was|have|said)|(?:above|previous|prior)\b)|"
    r"(?:system|assistant|developer|admin|root|user|human|ai) ?(?:message|prompt|note)?:|you are (?:now|no longer|a|an|in)\b|act as|pretend (?:to|you|that)|role ?play|from now on,? you\b|you (?:must|should|will|can) (?:now )?(?:obey|comply|approve|ignore|answer|act|respond|reply)|"
    r"jailbreak|developer mode|god mode|debug mode|maintenance mode|admin(?:istrator)? (?:mode|override|access)|do anything now|dan mode|sudo|new instructions?|<\|?\w+\|?>|\[/?(?:inst|system|sys)\]|###|begin(?:ning)? of (?:new )?(?:prompt|instructions)|"
    r"(?:auto-?)?approv(?:e|al|ing|es)\b.{0,40}?\b(?:all|everything|pending|automatically|without|yourself|itself|immediately|anyway|at once|every|intents?|it|this|on my behalf)\b|auto-?approve|(?:skip|bypass|without|no need for|waive|avoid|suppress)(?: the| any| all)? (?:approvals?|reviews?|checks?|confirmation|validation|questions|sign-?off|asking)|mark (?:it|this|everything|all) as approved|i am (?:the|your) (?:admin|administrator|developer|creator|owner|root)|trust me|this is an emergency override)",
    re.DOTALL,
)
_LEAK: Final = re.compile(
    r"(?<!\w)(?:(?:print|show|reveal|repeat|output|display|tell me|give me|dump|leak|what (?:is|are)|write out|share|list|expose|echo|return)\b.{0,25}?\b(?:system prompt|your (?:prompt|instructions|rules|guidelines|configuration|secrets?|source|code|api keys?)|(?:initial|hidden|secret|original) (?:prompt|instructions)|prompt|api[ -]?keys?|passwords?|secrets?|credentials|environment variables|env vars?|tokens? of the api|private keys?)|"
    r"(?:(?:encode|decode|translate) (?:this|the following|it)|base64|rot13|execute (?:this|the|code)|eval|exec)\b|run (?:this|the following|the command|a script|bash|python|sql|code)(?!\w))",
    re.DOTALL,
)
_CODE: Final = re.compile(
    r"(?:drop|alter|truncate|create) table|delete from|insert into|union select|select \*|;\s*--|'\s*or\s*'?1'?\s*=|\brm -rf?\b|\$\(|\bcurl\b|\bwget\b|\bchmod\b|\bbash -c\b|&&|\|\||__\w+__|\bimport os\b|os\.system|subprocess|eval\(|exec\(|<script|</?\w+>|javascript:|\{\{|\$\{|%\{|\bhttps?://|\bwww\.|`[^`]*`|\\x[0-9a-f]{2}|<!--|\.\./|/etc/|c:\\|"
    r"(?<![\w/+\-])(?=[A-Za-z0-9+/]*[0-9A-Z])(?=[A-Za-z0-9+/]*[a-z])[A-Za-z0-9+/]{24,}={0,2}(?![\w])|[A-Za-z0-9+/]{16,}={1,2}(?![\w=])",
)
_OFF: Final = re.compile(
    r"(?<!\w)(?:(?:disable|deactivate|remove|switch off|turn off|lift|ignore|bypass|override|suspend|drop|delete|kill|scrap|waive|relax|abolish|get rid of|do away with|take off|clear|unset|mute|silence|stop)\s+(?:the |all |any |every |our |of |these |those |row \d+'?s? |¤+ )*(?:\S+ ){0,2}?(?:limits?|limiters?|limiting|guards?|guardrails?|safet(?:y|ies)|safeguards?|caps?|checks?|checking|approvals?|approval step|alarms?|thresholds?|protections?|interlocks?|restrictions?|breakers?|throttling|throttles?|monitoring|alerts?|audit(?:ing| trail| log)?|constraints?|policies|budgets?|reviews?)(?!\w)|"
    r"(?:turn|switch|take|shut) (?:the |all |every |any )*(?:\S+ ){0,3}?(?:limits?|guards?|guardrails?|safet(?:y|ies)|caps?|checks?|approvals?|alarms?|thresholds?|protections?|throttling|monitoring|alerts?|interlocks?|breakers?) off|no (?:more )?(?:limits|guardrails|safety checks|approvals?)(?= *$| *[.,!;]| at all| anywhere| please| any ?more)|without (?:any )?(?:limits|guardrails|safety|approval|review)(?!\w)|(?:let|allow) .{0,30}\bwithout limits?)"
)
_ACTS: Final = (
    r"open|close|unlock|lock|delete|erase|wipe|purge|reboot|restart|reset|power[ -]?cycle|shut ?down|shut|send|email|e-?mail|mail|text|message|call|phone|ring|page|notify|alert|order|buy|purchase|book|schedule|hire|fire|sack|promote|write|compose|draft|sing|draw|paint|translate|summari[sz]e|explain|tell|play|search for|google|install|uninstall|upgrade|update|patch|deploy|reinstall|"
    r"unplug|plug in|swap out|swap|replace|repair|fix|clean|mop|paint|move the|ssh|log ?in|log ?out|grant|revoke|create|make me|post|tweet|publish|upload|download|copy|back ?up|restore|archive|export|email|transfer|invoice|refund|sign|negotiate|cancel|file|raise a|open a|kill|terminate|drain|evacuate|flash|reimage|provision|invite|remind|wake|start up|boot|ping|trace|turn (?:on|off)|switch (?:on|off)|dim|lower the blinds|bring (?:me|us)|fetch|get me|give me|order|feed|arrange|organi[sz]e|ask|inform|contact|dispatch|escalate|sell|dump"
)
_LEAD: Final = r"(?:(?:please|pls|kindly|also|then|and|now|first|next|afterwards|finally|hey|hi|hello|ok(?:ay)?|so|just|can|could|would|will|you|we|go|ahead|i|want|need|like|to|'d|have|someone|somebody|us|let's|lets|must|should|immediately|quickly|the|twin)[ ,:]+)*"
_ACT: Final = re.compile(rf"(?:^|(?<=[,.;:!?] )|(?<=\band )|(?<=\bthen )|(?<=\bplus ))\s*{_LEAD}(?P<verb>{_ACTS})(?:\s+(?P<object>.*?))?(?=$|[,.;!?](?:\s|$)|\band (?:then )?(?:keep|hold|cut|cap|limit|reduce|lower|set|make sure|maintain|get)\b|\bthen\b|\bbut\b)")
# Acts whose object is a metric are wishes, not acts: "fix PUE at 1.2", "open 3 more servers".
_TELLING: Final = re.compile(r"page|e-?mail|mail|send|notify|alert|call|phone|ring|text|message|tell|remind|raise a|open a|ping|inform|contact|escalate|write|post|tweet")
_FINE: Final = re.compile(r"\b(?:\ue005|\ue006)|\b(?:gpus? (?:temps?|under|below)|p99|ttft|pue|latency|energy|power|cost|carbon|water|memory|dram|quality|throughput|evictions?|pods?|notices?|makespan)\b")
_FOREIGN: Final = frozenset(
    """der das und nicht mit auf unter über halte halten bitte heute reihe grad senken senke soll für von dem ein eine im ist wir strom temperatur nachmittag kühl keine unterhalb maximal
    le les du une et sous dans avec pas garde gardez maintenir réduire baisser baissez moins température rangée après-midi cet cette aux sur nous degrés coûts gardez limiter
    el los las del para sin menos debajo mantener mantén mantenga reducir reduce-la fila tarde bajo que grados coste costo temperatura temperaturas
    il gli della delle sotto mantieni mantenere ridurre questo pomeriggio gradi nella sono dei più
    het een van niet onder houd hou verlaag kosten graden deze middag rij voor
    das dos manter abaixo reduzir fileira graus custo não mantenha
    och att inte på ska håll sänk kostnaden rad eftermiddag grader för under
    trzymaj poniżej stopni""".split()
)
_ENGLISH: Final = frozenset("the and or to of in on is are be keep under below above at most least not no than for with cut reduce must should make please it we i a an all any every hold cap by from this that let".split())


def foreign(text: str) -> bool:
    """Return whether a text is plainly in another language."""
    letters = [char for char in text if char.isalpha()]
    if letters and sum(ord(char) > 0x24F for char in letters) > 0.3 * len(letters):
        return True
    words = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)?", text)
    other = sum(word in _FOREIGN and word not in _ENGLISH for word in words)
    return other >= 2 and other > sum(word in _ENGLISH for word in words)


def injected(board: Board, original: str) -> list[Finding]:
    """Find text that talks to the reader and take it out; an attempt to override takes all that follows with it."""
    findings: list[Finding] = []
    words = "This reads as an instruction to the reader, not as a target; what is wanted?"
    override = _OVERRIDE.search(board.rest)
    if override:
        start = _sentence_start(board.rest, override.start())
        board.take("taken", start, len(board.rest))
        findings.append(Finding(severity="block", about="meaning", text=words))
    for pattern, text in ((_LEAK, board.rest), (_CODE, board.rest)):
        for match in list(pattern.finditer(text)):
            if board.rest[match.start() : match.end()] != match[0]:
                continue
            start, end = _clause_around(board.rest, match.start(), match.end())
            board.take("taken", start, end)
            findings.append(Finding(severity="block", about="meaning", text=words))
    if not findings and re.search(r"(?<![\w/+\-])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[a-z])[A-Za-z0-9+/]{20,}={0,2}(?!\w)", original):
        board.take("taken", 0, len(board.rest))
        findings.append(Finding(severity="block", about="meaning", text=words))
    return findings[:1]


def _sentence_start(text: str, place: int) -> int:
    stops = [match.end() for match in re.finditer(r"[.!?;\n](?=\s)|,? then\b", text[:place])]
    return stops[-1] if stops else (0 if place < 40 else max((m.end() for m in re.finditer(r",|\band\b", text[:place])), default=0))


def _clause_around(text: str, start: int, end: int) -> tuple[int, int]:
    before = [match.end() for match in re.finditer(r"[.!?;,\n](?=\s)|\bthen\b|\band\b", text[:start])]
    after = re.search(r"[.!?;,\n](?=\s)|\bthen\b|\band\b", text[end:])
    return (before[-1] if before else 0), (end + after.start() if after else len(text))


def switched_off(board: Board) -> list[Finding]:
    """Find requests to switch limits, guards or approval off, and take them out."""
    findings = []
    for match in list(_OFF.finditer(board.rest)):
        start, end = _clause_around(board.rest, match.start(), match.end())
        board.take("taken", start, end)
        findings.append(Finding(severity="block", about="meaning", text="Limits, guards and approval cannot be switched off; which target is wanted?"))
    return findings[:1]


def acts(board: Board) -> list[Finding]:
    """Find acts that the twin cannot do, and take them out; the places they name stay known."""
    findings = []
    for match in list(_ACT.finditer(board.rest)):
        verb, rest = match["verb"], match["object"] or ""
        measured = any(mark.value.kind != "count" for mark in board.ordered("quantity") if match.start() <= mark.start < match.end())
        if (measured and not _TELLING.match(verb)) or not _is_act(verb, rest):
            continue
        text = f"The twin cannot {verb} anything; which target is wanted instead?"
        board.take("taken", match.start("verb"), match.end())
        findings.append(Finding(severity="block", about="meaning", text=text))
    return findings[:1]


def _is_act(verb: str, rest: str) -> bool:
    if _FINE.search(rest):
        return False
    if re.search(r"\ue003", rest) and verb in {"fix", "make", "create", "provision", "order", "buy", "purchase", "start up", "deploy"} and not re.search(r"\b(?:boxes|vendor|gpus|pizzas?|coffee|h100|from)\b", rest):
        return False
    if verb in {"fix", "call", "ring", "text", "file", "order", "ask", "tell", "explain", "trace", "start up", "provision", "create", "update", "draw", "page", "copy", "transfer", "back up", "restore", "play", "shut", "buy", "purchase", "drain", "replace", "message", "mail", "close", "reset", "book"} and not rest.strip():
        return False
    return True
