# %% [markdown]
# # Steering one prompt
#
# A picture, a text that contradicts it, a question, and the instruction to believe one
# of them: a shipped scene, or your own. The notebook shows the model's answer, how the
# decision forms from layer to layer, and what becomes of it when the heads that decide
# are silenced or amplified. One prompt is an anecdote, without an interval; what is
# drawn beside it are its controls: other samples' answers, and heads drawn at random in
# the same layers.

# %% tags=["parameters"]
model = "smol"
# path of a picture of your own; with it, or with a question or context of your own,
# give both answers
image = ""
question = ""
context = ""  # the text that contradicts the picture
answers = []  # what the picture answers and what the text answers: ["apple", "pear"]
instruction = ""  # the sentence that names the modality, in your own words
following = "vision"  # which of them it tells the model to follow; or "text"
share = 0.05  # of all heads
factor = 2.0  # on the top heads' output; they are also silenced (factor 0)
# in the whole prompt and at every generated token; "instruction": at the instruction
# tokens, as in Section 4.2
place = "everywhere"
# random sets of heads in the same layers, and other samples' answers; 100 in a full run
draws = 10
# other samples per direction that rank the heads, the same as in sec4_sensitivity; 60
# in a full run
n = 12
seed = 0  # draws the scene, the samples and the controls
# where scene and samples come from; "mc2", or the folder of your own samples
data = "scenes"
split = "held"
weights = "trained"  # "random": the same architecture with random weights, a control
only_following = (
    True  # False also ranks on samples that the model does not answer as told
)

# %%
from myst_nb import glue

import arbitration as arb
from arbitration.dataset import entities, own
from arbitration.engine import generation
from reproduction import cohorts, figures, measures, numbers, parameters, results
from reproduction.cohorts import answered, strangers
from reproduction.measures import heads, steering
from reproduction.numbers import steer

parameters.settle(
    globals()
)  # a value that a parameter cannot have is refused here, before anything is loaded
subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
shipped = entities.of(data, everything)
subject = cohorts.answered.adopt_spelling(subject, everything, shipped)
sample = own.own_conflict(
    answered.last_usable(subject, everything),
    image,
    question,
    context,
    answers,
    instruction,
)
dictionary = entities.knowing(shipped, sample)
prompt = subject.encode(sample, following)
print(prompt.text.replace(subject.processor.image_token, ""))

# %% [markdown]
# ## The model's answer

# %%
answer = generation.answers(subject, prompt)[0]
outcome = measures.answers.outcome_of(answer, prompt, dictionary)
print(
    f"{answer.strip()!r}: {outcome} (told to follow {following}; "
    f"picture {sample.answer_vision!r}, text {sample.answer_text!r})"
)

# %% [markdown]
# ## The heads, ranked on other samples
#
# By Eq. 12 and by head sensitivity. What `sec4_sensitivity` has measured with the same
# parameters is read, not measured again.

# %%
half = everything[: min(2 * n, len(everything) // 2)]
ranked = cohorts.answered.choose_prompts(
    subject,
    half,
    cohorts.answered.ask_samples(subject, half, shipped),
    n,
    only_following,
)
options = {"top_k": 1, "pooling": "max", "norm": False}


def score(other):
    return heads.score_heads(subject, other, shipped, **options)


scores = results.gather(
    "head_scores", subject, ranked, lambda missing: map(score, missing), **options
)
orders = heads.rank_heads(scores)

# %% [markdown]
# ## The decision by layer, and with heads scaled
#
# Above, the logit lens reads both answers' signals (Eq. 8), and those of answers that
# belong to other samples. Below, the lead of the instructed answer with the top heads
# silenced and scaled, and with as many heads drawn from the same layers.

# %%
borrowed = strangers.draw_strangers(
    dictionary, sample, everything, draws, seed, subject.tokenizer
)
decision = steering.trace_decision(subject, prompt, dictionary, borrowed, **options)
effects = steering.measure_effects(
    subject, prompt, dictionary, orders, share, [0.0, factor], draws, seed, place
)
origin = results.provenance(
    subject,
    seed=seed,
    n=n,
    data=data,
    split=split,
    following=following,
    share=share,
    factor=factor,
    place=place,
)
for name, table in (("steer_decision", decision), ("steer_effects", effects)):
    results.save(table, name, origin, subject.name)
alt = (
    "Signals of both answers by layer at the instruction tokens and at the last token, "
    "with those of other samples' answers; and the lead of the "
    "instructed answer with top heads silenced and amplified, beside random heads of "
    "the same layers"
)
figures.publish(
    figures.fig_steer(decision, effects), "fig_steer", subject.name, alt=alt
)

# %% [markdown]
# Each line is one set of heads. `lowest`, `highest` and `answers` are those of its
# random draws; `beyond` is how many of them moved the lead as far.

# %%
steer.set_beside_draws(effects).round(2)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in numbers.summarise_steer(effects).items():
    glue(key, value, display=False)
