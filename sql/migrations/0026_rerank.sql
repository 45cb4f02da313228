-- The weight of what a reranker says.
alter table tenant_policies add column hybrid_rerank_weight double precision;
