# %% [markdown]
# # Steering one prompt
#
# The prompt is a picture, a text that contradicts it, a question, and the instruction
# to believe one of them: a shipped scene, or your own. The notebook shows the model's
# answer, how the decision forms from layer to layer, and how both change when the heads
# that decide are ablated or amplified. One prompt is an anecdote, without an interval.
# The controls drawn beside it are other samples' answers, and heads drawn at random in
# the same layers.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
image = ""  # path of a picture of your own; with it, give both answers
question = ""  # a question of your own; with it, give both answers
context = ""  # the text that contradicts the picture; with it, give both answers
answers = []  # what the picture answers and what the text answers: ["apple", "pear"]
instruction = ""  # the sentence that names the modality, in your own words
following = "vision"  # which of them it tells the model to follow; or "text"
share = 0.05  # of all heads
factor = 2.0  # on the top heads' output; they are also ablated (factor 0)
place = "everywhere"  # or "instruction": at its tokens alone, as in §4.2
draws = 10  # random sets of heads, and other samples' answers; 100 in a full run
n = 12  # other samples per direction that rank the heads, as in sec4_sensitivity
seed = 0  # draws the scene, the samples and the controls
data = "scenes"  # where scene and samples come from; "mc2", or a folder of yours
split = "held"  # new wordings; "iid": the training's; "held_style": another style
weights = "trained"  # "random": the same architecture untrained, a control
only_following = True  # False also ranks on samples that are not followed
measure = False  # True ignores records: everything is measured here

# %%
from arbitration.dataset import entities, own
from arbitration.engine import generation
from press.glued import glue_all
from reproduction import cohorts, figures, measures, numbers, results, tables
from reproduction.numbers.steer import set_beside_draws

study = cohorts.study(globals())
subject, everything = study.subject, study.everything

# %%
scene = cohorts.last_usable(subject, everything)
sample = own.own_conflict(scene, image, question, context, answers, instruction)
dictionary = entities.knowing(study.dictionary, sample)
prompt = subject.encode(sample, following)
print(prompt.text.replace(subject.processor.image_token, ""))

# %% [markdown]
# ## The model's answer

# %%
answer = generation.answers(subject, prompt)[0]
outcome = measures.answers.outcome_of(answer, prompt, dictionary)
print(f"{answer.strip()!r}: {outcome} (told to follow {following})")
print(f"picture {sample.answer_vision!r}, text {sample.answer_text!r}")

# %% [markdown]
# ## The heads, ranked on other samples
#
# The heads are ranked by Eq. 12 and by head sensitivity. What `sec4_sensitivity` has
# measured with the same parameters is read, not measured again.

# %%
half = everything[: min(2 * n, len(everything) // 2)]
known = cohorts.ask_samples(subject, half, study.dictionary)
ranked = cohorts.choose(study, half, known)
orders = measures.heads.rank_heads(
    tables.gather_scores(subject, ranked, study.dictionary)
)

# %% [markdown]
# ## The decision by layer, and with heads scaled
#
# Above, the logit lens reads both answers' signals (Eq. 8), and those of answers that
# belong to other samples. Below is the lead of the instructed answer with the top heads
# ablated and scaled, and with as many heads drawn from the same layers.

# %%
lenders = cohorts.draw_strangers(
    dictionary, sample, everything, draws, seed, subject.tokenizer
)
lens = measures.each(measures.steering.trace_decision)
given = {"borrowed": {sample.id: lenders}, "dictionary": dictionary, **tables.PHI}
decision = results.collect("steer_decision", lens, subject, [prompt], **given)

# %%
sets = measures.steering.list_steered_sets(
    subject, prompt, orders, share, [0.0, factor], draws, seed, place
)
given = {"prompt": prompt, "dictionary": dictionary, "place": place}
effect = measures.steering.measure_effects
effects = results.collect("steer_effects", effect, subject, sets, **given)

# %%
alt = (
    "Signals of both answers by layer at the instruction tokens and at the last token, "
    "with those of other samples' answers; and the lead of the instructed answer with "
    "top heads silenced and amplified, beside random heads of the same layers"
)
figure = figures.fig_steer(decision, effects)
figures.publish(figure, "fig_steer", subject.name, alt=alt)

# %% [markdown]
# Each line is one set of heads. `lowest`, `highest` and `answers` are those of its
# random draws; `beyond` is how many of them moved the lead as far.

# %%
set_beside_draws(effects).round(2)

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_steer(effects))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("steer", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
