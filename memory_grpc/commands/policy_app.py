"""``memory-grpc policy``: its commands and their options; what they do is in ``policy.py``, imported at need."""

from __future__ import annotations

from typing import Annotated

import typer

from memory_grpc.commands.options import EPILOG, Address, ApiKey, AsJson, Ranking, Recipe, Tenant, Timeout, target

policy_app = typer.Typer(
    help="Shows and sets a tenant's retention limits, weights, ranking and quota.", no_args_is_help=True
)


@policy_app.command("show", epilog=EPILOG)
def policy_show(
    tenant: Tenant,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Show the policy that holds for a tenant, and which values are its own.

    Example: `memory-grpc policy show --tenant acme`
    """
    from memory_grpc.commands import policy

    raise typer.Exit(policy.show(tenant, target(address, api_key, timeout), as_json=as_json))


@policy_app.command("set", epilog=EPILOG)
def policy_set(
    tenant: Tenant,
    max_age_days: Annotated[float | None, typer.Option(help="Archive messages older than this.")] = None,
    importance_threshold: Annotated[float | None, typer.Option(help="Archive less important messages.")] = None,
    delete_after_days: Annotated[float | None, typer.Option(help="Delete after this long in the archive.")] = None,
    importance_recency: Annotated[float | None, typer.Option(help="Weight of recency in importance.")] = None,
    importance_role: Annotated[float | None, typer.Option(help="Weight of the role in importance.")] = None,
    importance_explicit: Annotated[float | None, typer.Option(help="Weight of importance_override.")] = None,
    score_similarity: Annotated[float | None, typer.Option(help="Weight of similarity in the score.")] = None,
    score_importance: Annotated[float | None, typer.Option(help="Weight of importance in the score.")] = None,
    score_decay: Annotated[float | None, typer.Option(help="Weight of decay in the score.")] = None,
    ranking: Annotated[Ranking | None, typer.Option(help="Ranking of searches that do not name one.")] = None,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Time zone of queries that do not name one.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Language of messages and queries that do not name one, such as de."),
    ] = None,
    hybrid_recipe: Annotated[
        Recipe | None, typer.Option(help="Hybrid: the recipe of the weights that are not set here.")
    ] = None,
    hybrid_lexical_weight: Annotated[float | None, typer.Option(help="Hybrid: weight of words.")] = None,
    hybrid_conversation_weight: Annotated[
        float | None, typer.Option(help="Hybrid: weight of the conversation's best turn.")
    ] = None,
    hybrid_date_weight: Annotated[float | None, typer.Option(help="Hybrid: weight of a date in the query.")] = None,
    hybrid_speaker_weight: Annotated[
        float | None, typer.Option(help="Hybrid: weight of a speaker in the query.")
    ] = None,
    hybrid_near_weight: Annotated[
        float | None, typer.Option(help="Hybrid: weight of the best turn within three.")
    ] = None,
    hybrid_after_weight: Annotated[float | None, typer.Option(help="Hybrid: weight of the turn right after.")] = None,
    hybrid_coverage_weight: Annotated[
        float | None, typer.Option(help="Hybrid: weight of the share of the query's words.")
    ] = None,
    hybrid_asks_when_weight: Annotated[
        float | None, typer.Option(help="Hybrid: weight of a time word if the query asks when.")
    ] = None,
    hybrid_first_person_weight: Annotated[
        float | None, typer.Option(help="Hybrid: weight of a turn about its speaker.")
    ] = None,
    hybrid_question_weight: Annotated[float | None, typer.Option(help="Hybrid: weight of a turn that asks.")] = None,
    hybrid_assistant_weight: Annotated[
        float | None, typer.Option(help="Hybrid: weight of an assistant's turn.")
    ] = None,
    hybrid_rerank_weight: Annotated[
        float | None, typer.Option(help="Hybrid: weight of the reranker; at 0 nothing is sent to it.")
    ] = None,
    hybrid_previous_weight: Annotated[
        float | None, typer.Option(help="Hybrid: share with which the previous turn's words count.")
    ] = None,
    hybrid_names_to_i: Annotated[
        bool | None, typer.Option(help='Hybrid: embed queries with names of participants as "I".')
    ] = None,
    max_messages: Annotated[int | None, typer.Option(help="Quota: messages it may store; 0 for no limit.")] = None,
    max_bytes: Annotated[
        int | None, typer.Option(help="Quota: bytes of content and metadata it may store; 0 for no limit.")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget the tenant's own values first; its quota stays.")
    ] = False,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Set some values of a tenant's policy; its others stay, and what it never set is the deployment's.

    Example: `memory-grpc policy set --tenant acme --max-age-days 365 --importance-threshold 0`
    """
    given: dict[str, float | str | None] = {
        "retention.max_age_days": max_age_days,
        "retention.importance_threshold": importance_threshold,
        "retention.delete_after_days": delete_after_days,
        "importance_weights.recency": importance_recency,
        "importance_weights.role": importance_role,
        "importance_weights.explicit": importance_explicit,
        "score_weights.similarity": score_similarity,
        "score_weights.importance": score_importance,
        "score_weights.decay": score_decay,
        "hybrid_weights.lexical": hybrid_lexical_weight,
        "hybrid_weights.conversation": hybrid_conversation_weight,
        "hybrid_weights.date": hybrid_date_weight,
        "hybrid_weights.speaker": hybrid_speaker_weight,
        "hybrid_weights.previous": hybrid_previous_weight,
        "hybrid_weights.names_to_i": hybrid_names_to_i,
        "hybrid_weights.recipe": hybrid_recipe,
        "hybrid_weights.near": hybrid_near_weight,
        "hybrid_weights.after": hybrid_after_weight,
        "hybrid_weights.coverage": hybrid_coverage_weight,
        "hybrid_weights.asks_when": hybrid_asks_when_weight,
        "hybrid_weights.first_person": hybrid_first_person_weight,
        "hybrid_weights.question": hybrid_question_weight,
        "hybrid_weights.assistant": hybrid_assistant_weight,
        "hybrid_weights.rerank": hybrid_rerank_weight,
        "ranking": ranking,
        "time_zone": time_zone,
        "language": language,
        "quota.max_messages": max_messages,
        "quota.max_bytes": max_bytes,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if not values and not reset:
        raise typer.BadParameter("give at least one value, or --reset")
    from memory_grpc.commands import policy

    raise typer.Exit(policy.change(tenant, values, target(address, api_key, timeout), reset=reset, as_json=as_json))
