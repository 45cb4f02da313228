-- name: citus.version
-- Citus' version in this database; no row without the extension.
select extversion as version from pg_extension where extname = 'citus';

-- name: citus.is_there
-- Whether the database has Citus.
select exists(select from pg_extension where extname = 'citus') as found;

-- name: citus.nodes
-- How many nodes hold shards.
select count(*) as nodes from pg_dist_node where isactive and shouldhaveshards;

-- name: citus.is_superuser
-- Whether the user of this connection is one.
select rolsuper as superuser from pg_roles where rolname = current_user;

-- name: citus.tables
-- Which of some tables are spread over the nodes, and how many rows Postgres takes them to have.
select c.relname::text as name, p.logicalrelid is not null as is_distributed, greatest(c.reltuples, 0)::bigint as rows
from pg_class c
left join pg_dist_partition p on p.logicalrelid = c.oid and p.partmethod = 'h'
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and c.relname = any(%(names)s);

-- name: citus.keys_without_tenant
-- The primary keys and unique indexes of some tables that do not hold `tenant_id`: no shard could tell that a key is taken.
select i.indexrelid::regclass::text as key, i.indrelid::regclass::text as name
from pg_index i
join pg_class c on c.oid = i.indrelid
where c.relnamespace = current_schema()::regnamespace and c.relname = any(%(names)s) and i.indisunique
    and not exists (
        select from pg_attribute a
        where a.attrelid = i.indrelid and a.attnum = any(i.indkey::smallint[]) and a.attname = 'tenant_id'
    )
order by key;

-- name: citus.servers
-- How many connections servers have to this database.
select count(*) as connections
from pg_stat_activity
where datname = current_database() and application_name like 'memory-grpc%%' and pid <> pg_backend_pid();

-- name: citus.foreign_keys
-- The foreign keys of some tables, as they are made. They are taken away and put back: of two tables that belong together one
-- is distributed before the other.
select conname::text as name, conrelid::regclass::text as "table", confrelid::regclass::text as leads_to,
    pg_get_constraintdef(oid) as definition
from pg_constraint
where contype = 'f' and connamespace = current_schema()::regnamespace and conrelid::regclass::text = any(%(names)s)
order by "table", name;

-- name: citus.drop_foreign_key
-- Takes a foreign key away.
alter table {table} drop constraint {name};

-- name: citus.add_foreign_key
-- Puts it back.
alter table {table} add constraint {name} {definition};

-- name: citus.one_by_one
-- Shards are changed one after the other, in one connection to each node: so several tables can be made in one transaction.
set local citus.multi_shard_modify_mode = 'sequential';

-- name: citus.be_patient
-- Rows are copied for as long as it takes.
select set_config('statement_timeout', '0', true), set_config('lock_timeout', '10s', true);

-- name: citus.let_in
-- Citus' nodes log in to each other as the role that a transaction works as. The roles have no password: a node lets them in
-- by what its pg_hba.conf says of the other nodes.
alter role {role} login;

-- name: citus.everywhere
-- What a connection between nodes is set to, as database.pin and database.configure set the servers' own.
alter role {role} set {setting} = {value};

-- name: citus.distribute_first
-- Spreads a table over the nodes by tenant.
select create_distributed_table(%(name)s::regclass, 'tenant_id', colocate_with => 'none', shard_count => %(shards)s::integer);

-- name: citus.distribute_beside
-- The same; what is of one tenant lies on one node with what another table has of it.
select create_distributed_table(%(name)s::regclass, 'tenant_id', colocate_with => %(beside)s);

-- name: citus.remove_local_rows
-- Removes the rows that the coordinator still has of a table that was spread: nobody sees them, and no erasure reaches them.
select truncate_local_data_after_distributing_table(%(name)s::regclass);

-- name: citus.coordinator_alone
-- What this session changes in the schema is the coordinator's own. Without Citus this sets nothing.
set citus.enable_ddl_propagation = off;

-- name: citus.all_nodes
-- What this session changes in the schema is changed on every node, shard after shard, in one connection to each; what a
-- transaction sets is handed on.
select set_config('citus.multi_shard_modify_mode', 'sequential', false), set_config('citus.propagate_set_commands', 'local', false);

-- name: citus.graphs
-- The indexes of single tenants.
select c.relname::text as name
from pg_index i
join pg_class c on c.oid = i.indexrelid
where c.relnamespace = current_schema()::regnamespace and c.relname ~ '^tenant_(graph|words)_[0-9a-f]{32}$';

-- name: citus.drop_graph
-- Drops one.
drop index {index};

-- name: citus.forget_graphs
-- Forgets them, and what was counted for them.
truncate tenant_graphs, tenant_words, tenant_word_statistics;

-- name: citus.functions
-- Has functions on every node.
select create_distributed_function(oid::regprocedure)
from pg_proc
where pronamespace = current_schema()::regnamespace and proname = any(%(names)s);
