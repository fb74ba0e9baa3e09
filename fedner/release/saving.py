"""The final model as a Hugging Face directory, with a card that says what it is and how it was scored."""

from pathlib import Path

from safetensors import SafetensorError

from fedner.config import Config
from fedner.data.labels import LabelContract
from fedner.errors import RunDirectoryError, StateError
from fedner.files import reason_of
from fedner.learning.tagger.model import Tagger, save_tagger
from fedner.learning.tagger.tensors import set_state
from fedner.learning.workspace import workspace
from fedner.records.results import RunOutcome, RunResult


def save_model(outcome: RunOutcome, config: Config, contract: LabelContract, directory: Path) -> None:
    """Write the best round's model; `transformers` and `fedner predict` read it.

    Where sites keep tensors for themselves there is no one model: each site writes its own (`save_site_model`).

    Raises:
        RunDirectoryError: it cannot be written.
    """
    tagger = workspace(config.model, contract).tagger
    if tagger.personal:
        return
    set_state(tagger.model, outcome.best_state)
    try:
        save_tagger(tagger, directory, model_card(outcome.result, config, contract))
    except (OSError, SafetensorError) as error:
        raise RunDirectoryError(
            f"{directory}: cannot write the model ({error}); all rounds are kept: mend that and resume the run"
        ) from error


def save_site_model(tagger: Tagger, config: Config, site: str, directory: Path) -> None:
    """Write the model of one site, with the tensors that are its own, as it stands in the tagger.

    Raises:
        StateError: it cannot be written.
    """
    personal = ", ".join(f"`{pattern}`" for pattern in config.model.personal)
    card = f"""---
library_name: transformers
pipeline_tag: token-classification
tags: [ner, federated-learning, fedner]
---
# Named-entity tagger of site {site}

Trained by a federation with fedner (encoder `{config.model.name}`, {config.aggregation.kind} aggregation, seed
{config.seed}). The tensors {personal} are this site's own and were never sent, so that no other site has this model.

Label contract `{tagger.contract.name}` version {tagger.contract.version} (`{tagger.contract.digest[:12]}`); IOB2 tags.
"""
    try:
        save_tagger(tagger, directory, card)
    except (OSError, SafetensorError) as error:
        raise StateError(f"the site's own model cannot be written ({reason_of(error)})") from error


def model_card(result: RunResult, config: Config, contract: LabelContract) -> str:
    """Return the card, in Markdown."""
    micro = result.test.micro
    types = "\n".join(f"| {entity.name} | {entity.meaning} | {result.test.types[entity.name].f1:.4f} |"
                      for entity in contract.types)  # fmt: skip
    sites = "\n".join(f"| {site} | {score.micro.f1:.4f} | {score.micro.support} |"
                      for site, score in result.sites.items())  # fmt: skip
    return f"""---
library_name: transformers
pipeline_tag: token-classification
tags: [ner, federated-learning, fedner]
---
# Named-entity tagger trained by a federation

Encoder `{config.model.name}`, trained with fedner by {len(result.sites)} sites over {len(result.rounds)} rounds
({config.aggregation.kind} aggregation, seed {config.seed}); this is round {result.best_round}, the best on the sites'
pooled dev text. The sites' text never left them.

Label contract `{contract.name}` version {contract.version} (`{contract.digest[:12]}`); IOB2 tags.

Test micro F1 {micro.f1:.4f} (precision {micro.precision:.4f}, recall {micro.recall:.4f}; {micro.support} entities,
strict entity-level matching as seqeval's strict mode).

| entity type | meaning | test F1 |
| --- | --- | --- |
{types}

| site | test micro F1 | entities |
| --- | --- | --- |
{sites}

State digest `{result.state_digest}`.
"""
