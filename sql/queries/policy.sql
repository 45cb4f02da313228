-- fragment: policy.columns
-- The values of a policy.
retention_max_age_days, retention_importance_threshold, retention_delete_after_days,
    importance_recency_weight, importance_role_weight, importance_explicit_weight,
    score_similarity_weight, score_importance_weight, score_decay_weight,
    hybrid_lexical_weight, hybrid_conversation_weight, hybrid_date_weight, hybrid_speaker_weight,
    hybrid_previous_weight, hybrid_names_to_i, hybrid_recipe, hybrid_near_weight, hybrid_coverage_weight,
    hybrid_asks_when_weight, hybrid_first_person_weight, hybrid_question_weight, hybrid_assistant_weight,
    hybrid_rerank_weight, hybrid_after_weight, search_ranking, time_zone, language, quota_max_messages, quota_max_bytes

-- name: policy.lock
-- Lets one caller at a time change a tenant's policy, until the transaction ends. 7214 is the number of this lock.
select pg_advisory_xact_lock(7214, hashtext(%(tenant_id)s));

-- name: policy.get
-- A tenant's own policy; no row when it has none.
select {{policy.columns}}, updated_at
from tenant_policies
where tenant_id = %(tenant_id)s;

-- name: policy.set
-- Replaces a tenant's own policy; of two at once, the later one holds.
insert into tenant_policies (tenant_id, {{policy.columns}}, updated_at)
values (
    %(tenant_id)s, %(retention_max_age_days)s, %(retention_importance_threshold)s, %(retention_delete_after_days)s,
    %(importance_recency_weight)s, %(importance_role_weight)s, %(importance_explicit_weight)s,
    %(score_similarity_weight)s, %(score_importance_weight)s, %(score_decay_weight)s,
    %(hybrid_lexical_weight)s, %(hybrid_conversation_weight)s, %(hybrid_date_weight)s, %(hybrid_speaker_weight)s,
    %(hybrid_previous_weight)s, %(hybrid_names_to_i)s, %(hybrid_recipe)s, %(hybrid_near_weight)s,
    %(hybrid_coverage_weight)s, %(hybrid_asks_when_weight)s, %(hybrid_first_person_weight)s,
    %(hybrid_question_weight)s, %(hybrid_assistant_weight)s, %(hybrid_rerank_weight)s,
    %(hybrid_after_weight)s, %(search_ranking)s, %(time_zone)s, %(language)s,
    %(quota_max_messages)s, %(quota_max_bytes)s, now()
)
on conflict (tenant_id) do update
set ({{policy.columns}}, updated_at) = row(
    excluded.retention_max_age_days, excluded.retention_importance_threshold, excluded.retention_delete_after_days,
    excluded.importance_recency_weight, excluded.importance_role_weight, excluded.importance_explicit_weight,
    excluded.score_similarity_weight, excluded.score_importance_weight, excluded.score_decay_weight,
    excluded.hybrid_lexical_weight, excluded.hybrid_conversation_weight, excluded.hybrid_date_weight,
    excluded.hybrid_speaker_weight, excluded.hybrid_previous_weight, excluded.hybrid_names_to_i, excluded.hybrid_recipe,
    excluded.hybrid_near_weight, excluded.hybrid_coverage_weight, excluded.hybrid_asks_when_weight,
    excluded.hybrid_first_person_weight, excluded.hybrid_question_weight, excluded.hybrid_assistant_weight,
    excluded.hybrid_rerank_weight, excluded.hybrid_after_weight, excluded.search_ranking, excluded.time_zone,
    excluded.language, excluded.quota_max_messages, excluded.quota_max_bytes, excluded.updated_at
);

-- name: policy.remove
-- Removes a tenant's own policy.
delete from tenant_policies where tenant_id = %(tenant_id)s;
