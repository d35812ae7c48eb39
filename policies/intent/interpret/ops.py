"""Words that say how: comparison, negation, change, holding, wishing."""

import re
from typing import Final

from policies.intent.interpret.canon import Board, Mark
from policies.intent.interpret.words import phrase


def _words(*phrases: str) -> re.Pattern[str]:
    return re.compile(r"(?<![\w])(?:" + "|".join(phrase(item) for item in phrases) + r")(?![\w])")


_BE: Final = r"(?:is|are|be|was|being|it is|they are|we are|things are)"
_NOW: Final = r"(?:today(?:'s)?|now|at present|currently|before|at the moment|(?:it|they|we|things) (?:is|are|was|were|do|does|have|use|has|stand|stands)(?: now| today| currently)?)"
_WORSE: Final = r"(?:worse|worsen|worsened|degraded?|suffer(?:ed)?|hurt|harmed|slower|poorer)"
_HARM: Final = r"(?:hurt|harm|worsen|degrad|sacrific|touch|affect|compromis|damag|los|impair|impact|deteriorat|jeopardi[sz]|erod|penali[sz]|regress|endanger|risk|disturb|spoil|dent|ruin|giv(?:e|ing) up|mess(?:ing)? with|eat(?:ing)? into|trad(?:e|ing) away)(?:e|ing|es|s|ed)?"

HOLD: Final = (
    _words(
        rf"(?:no|not|not any|never|isn't|nor|not be|not get|not become|not go|not turn|get no|getting no|none the|any) (?:the )?{_WORSE}(?: than| off)?(?: {_NOW})?", rf"(?:without|not|never|not to|no|nor) (?:(?:ever|be|get|be allowed to|any) )*{_HARM}(?: (?:to|on|of|the|any|in|for))*",
        r"without (?:making|letting|allowing) .. (?:any )?(?:worse|suffer|degrade|slip)", r"(?:not|never|without being|without coming|nor) (?:(?:at|to) )?(?:the )?(?:at )?(?:the )?(?:expense|cost|detriment|price) (?:of|to)", r"at no (?:expense|cost|detriment) (?:of|to)", r"not (?:at )?(?:the )?expense",
        r"(?:stay|stays|remain|remains|left|leave|kept|keep|keeps|staying|be|is|are|held|hold)? ?(?:unchanged|untouched|unaffected|unaltered|intact|unharmed|undiminished|unimpaired)", rf"(?:exactly )?(?:where|as|what|how|the way) (?:it|they|things|that) (?:is|are|was|stands?|currently is)(?: (?:now|today|currently|right now|at present))?", r"as is",
        r"(?:at|on|hold|keep) (?:today's|the current|its current|their current|the present|present|current|existing|the same|today's) (?:level|value|figure|mark|standard|rate|state)s?", r"at (?:today's|current|present)(?: levels?| values?)?", rf"(?:about |exactly |roughly )?the same(?: as {_NOW})?", r"same as (?:today|now|before|currently)",
        r"steady", r"flat", r"constant", r"(?:hold|holds|holding) the line(?: on)?", r"no (?:loss|drop|rise|increase|decrease|degradation|deterioration|change|impact|effect|regression|regressions|penalty|harm|hit|sacrifice|worsening|damage|dip|growth|decline|reduction|uptick|slip|slippage)(?: (?:of|in|on|to|for|at|from))?(?: (?:the|any))?",
        r"without (?:any |a )?(?:loss|drop|rise|increase|decrease|degradation|deterioration|change|impact|effect|regression|penalty|harm|hit|sacrifice|worsening|damage|dip|growth|decline|slip|cost)(?: (?:of|in|on|to|for|at))?(?: the)?", r"at least as (?:many|much|good|high|fast) (?:\S+ ){0,4}?as (?:today|now|before|currently|at present)", r"same(?=\s*(?:[,;.]|$))", r"at least as (?:good|high|fast|low)(?: as)?(?: (?:today|now|before|it is|they are))*", r"as (?:good|low|high|fast|cheap|quick) as (?:today|now|before|it is|they are|currently)(?: (?:now|today))?",
        r"not (?:budge|move|slip|suffer|worsen|degrade|deteriorate|get worse|go backwards?|regress|change|change for the worse|take a hit|be touched|be affected)", r"(?:preserve|preserves|preserving|protect|protects|protecting)", r"(?:leave|leaving) .. alone", r"(?:match|matches|matching) (?:today|today's|the current|current)", r"no (?:higher|lower|more|less|fewer|greater|longer|slower|hotter|costlier|dearer|bigger|smaller|poorer) than " + _NOW,
        r"(?:not|never) (?:exceed|go above|go over|go beyond|go past|rise above|fall below|drop below|go below|go under) (?:today|today's|the current|current|present|what it is)(?: (?:level|value|figure|one)s?)?", r"(?:maintain|maintains|maintaining)",
    ),
)  # fmt: skip
# (pattern, direction that is prevented): a change that must not happen, with no number to it.
CHANGE_UP: Final = r"(?:increas(?:e|es|ed|ing)|rais(?:e|es|ed|ing)|ris(?:e|es|en|ing)|grow(?:s|n|ing)?|climb(?:s|ed|ing)?|go(?:es|ing)? up|went up|goes up|creep(?:s|ing)? up|driv(?:e|es|ing) up|push(?:es|ing)? up|push(?:es|ing)? .. up|boost(?:s|ed|ing)?|bump(?:s|ed|ing)? up|lift(?:s|ed|ing)?|(?<!give )(?<!gives )(?<!giving )(?<!wire )(?<!wired )(?<!wiring )(?<!hook )(?<!link )(?<!size )(?<!set )(?<!back )(?<!end )(?<!ends )(?<!pick )(?<!make )(?<!start )(?<!speed )(?<!come )(?<!show )(?<!kick )(?<!sum )(?<!clean )(?<!follow )(?<!join )(?<!cable )up(?! to)(?!-)|higher|more|greater|larger|bigger|extra|additional|on top|expand(?:s|ed|ing)?|gain(?:s|ed|ing)?|hotter|warmer|dearer|costlier|inflat(?:e|es|ed|ing)|scale up|grow(?:s|ing)?|rise|growth|increase|move up|moves up)"
CHANGE_DOWN: Final = r"(?:cut(?:s|ting)?(?: back(?: on)?| down(?: on)?)?|reduc(?:e|es|ed|ing|tion|tions)|lower(?:s|ed|ing)?|decreas(?:e|es|ed|ing)|drop(?:s|ped|ping)?|shrink(?:s|ing)?|shrunk|loss(?:es)?|trim(?:s|med|ming)?|slash(?:es|ed|ing)?|shav(?:e|es|ed|ing)|sav(?:e|es|ed|ing|ings)|down|less|fewer|smaller|cheaper|off|fall(?:s|en|ing)?|sink(?:s|ing)?|declin(?:e|es|ed|ing)|curb(?:s|ed|ing)?|dip(?:s|ped|ping)?|shed(?:s|ding)?|lop(?:s|ped|ping)?|knock(?:s|ed|ing)?|cool(?:er|s|ed|ing)?|colder|slip(?:s|ped|ping)?|shorten(?:s|ed|ing)?|tighten(?:s|ed)?|go(?:es|ing)? down|move down|moves down|cut|back)"
FASTER: Final = r"(?:faster|quicker|quickly|shorter|speed(?:s|ed|ing)? up|snappier|sooner|speedier|accelerat(?:e|es|ed|ing))"
SLOWER: Final = r"(?:slower|longer|slow(?:s|ed|ing)? down|later|lengthen(?:s|ed|ing)?)"
BETTER: Final = r"(?:better|improv(?:e|es|ed|ing|ement|ements)|enhanc(?:e|es|ed|ing))"
WORSE: Final = r"(?:worse(?:n|ns|ned|ning)?|degrad(?:e|es|ed|ing|ation)|deteriorat(?:e|es|ed|ing))"
CHANGE: Final = re.compile(rf"(?<![\w])(?:(?P<down>{CHANGE_DOWN})|(?P<up>{CHANGE_UP})|(?P<faster>{FASTER})|(?P<slower>{SLOWER})|(?P<better>{BETTER})|(?P<worse>{WORSE}))(?![\w])".replace(" .. ", r"(?: [^\s,;.]+){0,3} "))
FACTOR: Final = (
    (re.compile(r"(?<!\w)(?:halv(?:e|es|ed|ing)|(?:cut|slash|reduce|chop) .{0,30}?(?:in|by|to) (?:half|0\.5frac)|half (?:of )?(?:today|the current|what)\S*|cut in (?:half|0\.5frac)|in 0\.5frac)(?!\w)"), -0.5),
    (re.compile(r"(?<!\w)(?:doubl(?:e|es|ed|ing)|twice(?: (?:as (?:many|much)|the))?|two ?fold)(?!\w)"), 1.0),
    (re.compile(r"(?<!\w)(?:tripl(?:e|es|ed|ing)|treble|thrice|three ?fold)(?!\w)"), 2.0),
    (re.compile(r"(?<!\w)(?:quadrupl(?:e|es|ed|ing)|four ?fold)(?!\w)"), 3.0),
)  # fmt: skip
TODAY: Final = _words(
    rf"(?:than|vs\.?|versus|compared (?:with|to)|relative to|against|from|over|of|to|above|below|under|beyond) (?:what |the )?(?:{_NOW}|(?:the )?(?:current|present|existing|today's)(?: \S+)?|(?:the )?(?:baseline|status quo)|the last run|we (?:\S+ )?(?:now|today|currently|pay|spend|emit|use|have|hold)(?: now| today)?)",
    r"today's", r"(?:today|now|current|currently)", r"(?:the )?(?:baseline|status quo)",
)  # fmt: skip
SHOULD: Final = _words(r"ideally", r"preferabl[ey]", r"(?:please )?(?:try|trying|tries)(?: to| and| for)?", r"if (?:at all )?possible", r"(?:if|where|when) (?:it is |it's )?(?:at all )?possible", r"(?:i|we)(?:'d| would) prefer(?: it)?(?: if)?", r"if (?:you|we|it) can(?=\s*$|[,.;!])", r"prefer(?:red)?")

_UPPER: Final = (
    r"no (?:more|higher|greater|larger|longer|hotter|warmer|slower|later|bigger|above|costlier|dearer|over|further|beyond)(?: than)?", r"not (?:be )?(?:more|higher|greater|larger|longer|hotter|warmer|slower|later|bigger) than", r"nothing (?:over|above|more than|beyond|hotter than|warmer than|longer than|past|higher than|exceeding)",
    r"(?:not|never) (?:a|one|1|an?|single|even) (?:\S+ ){0,2}(?:more|over|above|higher|longer|hotter|beyond)", r"at (?:the )?(?:most|worst|max(?:imum)?|the latest|latest)", r"atmost", r"at or (?:below|under|beneath)", r"equal to or (?:less|lower|below)(?: than)?", r"(?:less|lower|fewer|smaller|shorter|quicker|faster|cooler|colder|cheaper|sooner|better|under) than or equal to",
    r"or (?:less|lower|fewer|below|under|cooler|colder|faster|quicker|sooner|shorter|cheaper|smaller|lesser)(?! ?[\ue003\d])", r"(?:and )?not more", r"and (?:no|not|never) (?:more|higher|longer|hotter|above|a \S+ more)", r"(?:less|lower|fewer|smaller|shorter|quicker|faster|cooler|colder|cheaper|sooner|tighter) than", r"up to(?: a)?(?: max(?:imum)?(?: of)?)?",
    r"within", r"inside(?: of)?", r"under(?:neath)?(?! no (?:circumstances?|condition))", r"below", r"beneath", r"<=", r"=<", r"≤", r"<", r"max(?:imum|imally)?(?: of)?", r"cap(?:s|ped|ping)?(?: .. )?(?: ?(?:at|to|of))?", r"limit(?:s|ed|ing)?(?: ?(?:to|at|of))?", r"ceiling(?: of)?", r"upper (?:limit|bound)(?: of)?", r"tops",
    r"south of", r"shy of", r"(?:restrict|restricted|confine|confined|bounded?|held|hold) (?:to|by|at|down to)", r"(?:stop|stops|top out|tops out|peak|peaks|peaking) at", r"budget of", r"down to", r"no \S+ (?:above|over|beyond|past|hotter than|more than)(?=NEVER)", r"(?:not|never) exceeding", r"not to exceed", r"(?:limit|max|maximum|ceiling|cap)(?: is| of| =)?",
)  # fmt: skip
_LOWER: Final = (
    r"no (?:less|lower|fewer|smaller|worse|below|shorter|poorer)(?: than)", r"not (?:be )?(?:less|lower|fewer|smaller) than", r"nothing (?:under|below|less than)", r"at (?:the very |the )?least", r"atleast", r"at (?:a |the )?(?:minimum|min)(?: of)?", r"at or (?:above|over)", r"equal to or (?:more|greater|above|higher)(?: than)?", r"(?:more|greater|higher) than or equal to",
    r"or (?:more|higher|above|greater|over|up|hotter|warmer|longer|larger|bigger)(?! ?[\ue003\d])", r"(?:and|or) (?:up|upwards?|above)(?! ?[\ue003\d])", r"(?:more|higher|greater|hotter|warmer|longer|slower|larger|bigger|later|costlier) than", r"in excess of", r"upwards? of", r"north of", r"above", r"over", r"beyond", r"past", r">=", r"=>", r"≥", r">",
    r"min(?:imum|imally)?(?: of)?", r"floor(?: of)?", r"lower (?:limit|bound)(?: of)?", r"exceed(?:s|ed|ing)?", r"surpass(?:es|ed|ing)?", r"(?:reach|reaches|reaching|hit|hits|hitting|cross|crosses|crossing|breach|breaches|breaching|touch|touches|pass|passes|passing|top|topping)", r"(?:get|gets|getting) to", r"sustain(?:s|ed|ing)?", r"as (?:much|many|high) as",
)  # fmt: skip
_TRUER: Final = (r"or better", r"better than", r"(?:and|or) no worse(?: than)?", r"no worse than", r"not worse than", r"or (?:an )?improvement")
_FALSER: Final = (r"worse than", r"or worse")
_COMPARE: Final = re.compile(
    r"(?:(?<![\w])|(?=[<>=≤≥]))(?:"
    + "|".join(f"(?P<{name}>{'|'.join(phrase(item) for item in sorted(items, key=len, reverse=True))})" for name, items in (("truer", _TRUER), ("upper", _UPPER), ("lower", _LOWER), ("falser", _FALSER)))
    + r")(?:(?![\w])|(?<=[<>=≤≥]))"
)
NEGATION: Final = _words(
    r"under no circumstances", r"in no (?:case|event|way)", r"on no account", r"under no condition", r"at no (?:time|point)", r"by no means", r"(?:the )?last thing .. (?:wants?|needs?)", r"(?:do|does|did|must|shall|should|may|can|could|would|will|is|are|has|have|need|ought|to|better)? ?not(?: (?:ever|want to see|want|like to see|accept|allow|permit|tolerate))?", r"never(?: ever)?(?: again)?", r"nowhere", r"no ?(?:one|body)",
    r"nothing", r"nor", r"neither", r"no", r"none(?: of)?", r"without(?: ever)?(?: letting| allowing| having)?", r"avoid(?:s|ing)?", r"prevent(?:s|ing)?", r"stop(?:s|ping)?", r"refus(?:e|es|ing)", r"forbid(?:s|ding)?", r"rather not", r"hate to see", r"rule out", r"keep(?:ing|s)? (?!\S*ing)(?:\S+ ){1,6}?from(?= \S+ing)", r"unacceptable", r"zero", r"not a single", r"cannot", r"can't(?: afford| have)?", r"hardly", r"out of the question",
    r"before (?:any|anything|anyone|it|they|something)", r"eliminat(?:e|es|ing)", r"get rid of", r"free (?:of|from)", r"instead of", r"rather than", r"ban(?:s|ned)?", r"protect .. from", r"shield .. from", r"spare",
)  # fmt: skip
NONE: Final = re.compile(r"(?<!\w)(?:none|zero|nil|not one|never|not any)(?: at all)?\s*$|^\W*(?:ideally|preferably|if possible)?,? ?(?:none|zero|nil|never)\b")
MINIMIZE: Final = _words(r"minimi[sz](?:e|es|ing)", r"min", r"(?:the )?(?:lowest|least|smallest|fewest|cheapest|shortest|minimum|coolest|coldest|minimal|quickest|fastest|leanest|greenest)(?: (?:possible|achievable|we can get))?", r"as (?:low|little|few|small|cheap|cool|short|cold|cheaply|quick|fast|quickly) as (?:possible|you can|we can|it gets|it goes|can be|feasible|practical|it will go)", r"as (?:low|little|few|small|short) (?:\S+ ){1,3}?as (?:possible|you can|we can|can be|feasible|practical|it gets)", r"as far down as possible", r"as close to (?:zero|1|one) as possible")
MAXIMIZE: Final = _words(r"maximi[sz](?:e|es|ing)", r"max out", r"(?:the )?(?:highest|most|biggest|largest|greatest|maximum|max|maximal)(?: (?:possible|achievable|we can get))?", r"as (?:high|much|many|big|large) as (?:possible|you can|we can|it gets|it goes|can be|feasible|practical)", r"how (?:many|much)(?: more)?", r"as (?:high|much|many|big|large) (?:\S+ ){1,3}?as (?:possible|you can|we can|can be|feasible|practical|it gets)", r"as far up as possible", r"how (?:big|large|far|high)")
OPTIMISE: Final = _words(r"optimi[sz](?:e|es|ing)(?: for)?", r"(?:the )?best(?: possible)?", r"as (?:good|well|efficient|efficiently) as (?:possible|it gets|can be)", r"prioriti[sz]e")
TO: Final = re.compile(r"(?:\bto|\bat|\bdown to|\bup to|\bof|\bonto|=)(?: (?:be|about|around|just|some|a|roughly|only|under|below|at most|at least))*\s*$")
PERMIT: Final = re.compile(r"\b(?:may|might|can|could|allowed to|free to|ok(?:ay)? (?:if|to)|tolerate|accept|live with|allow|fine if|permitted to|acceptable)\b")


def compare(board: Board) -> list[Mark]:
    """Return the words of comparison: ``<=``, ``>=``, ``better`` or ``worse``; longest first at a place."""
    names = {"upper": "<=", "lower": ">=", "truer": "better", "falser": "worse"}
    found = []
    for match in _COMPARE.finditer(board.rest):
        name = next(key for key in names if match[key] is not None)
        found.append(Mark("compare", match.start(), match.end(), names[name]))
    return found
