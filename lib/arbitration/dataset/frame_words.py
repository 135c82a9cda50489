"""Closed lists of words that may stand around an answer's form without changing what it says, and
of those that deny or withdraw it (`outcomes.judge_forms`). English, and Chinese by character.
"""

_FRAME = """
a an the this that these those which who it there here he she they we you i one
is are was were be been being am has have had does do did can could may might must would should will
looks look looking seems seem appears appear shows show showing shown depicts sees see says say said
states reads means means called named holds contains
in on at to of from by for with as like because since so then but however although though while
yes yeah yep ok okay sure indeed definitely clearly certainly obviously simply exactly just only
also maybe perhaps probably possibly likely think believe guess suppose
answer image picture photo text context caption passage description according based rather
colour color number
"""
_FRAME_ZH = "是为的了在有一个只条张件辆它这那图中里看来像呈示说但而就也很可能或许吧呢啊"

#: May stand next to a form.
FRAME = frozenset(_FRAME.split()) | frozenset(_FRAME_ZH)
#: May stand before a form alone, since behind it they make it a part: *it's red*, the *dog's* bowl.
FRAME_BEFORE = frozenset("s re m ve ll d".split())
#: May stand behind a form that is a number.
UNITS = frozenset(
    """
    mm cm m km g kg ml l inch inches foot feet mile miles meter meters metre metres second seconds
    minute minutes hour hours day days week weeks month months year years percent degree degrees
    dollar dollars euro euros
    """.split()
)
#: Deny the form behind them, up to punctuation or one of `TURNS`. So does the t of *isn't*.
NEGATIONS = frozenset(
    "no not never without neither nor cannot isnt arent dont doesnt cant than instead".split()
) | frozenset("不没非")
#: End what a negation before them denies.
TURNS = frozenset("but however although though".split()) | frozenset("但而")
#: With a negation behind them they deny the form before: *the dog is not there*, *isn't there*.
COPULAS = frozenset(
    "is are was were do does did isn aren wasn weren don doesn didn".split()
) | frozenset("是")
#: Withdraw a form before them.
WITHDRAWALS = frozenset("wait sorry correction".split())
