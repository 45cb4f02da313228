-- name: leases.acquire
-- Takes a lease that is free or has run out, or renews one's own. No row when another holds it. The database's clock
-- decides.
insert into leases (name, holder, expires_at)
values (%(name)s, %(holder)s, clock_timestamp() + make_interval(secs => %(seconds)s))
on conflict (name) do update
set holder = excluded.holder, expires_at = excluded.expires_at
where leases.holder = excluded.holder or leases.expires_at <= clock_timestamp()
returning holder;

-- name: leases.renew
-- Renews a lease that is still one's own and still running, and locks it until the transaction ends, so that work done
-- in the transaction is done under the lease or not at all. No row when it is lost.
update leases
set expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
where name = %(name)s and holder = %(holder)s and expires_at > clock_timestamp()
returning holder;

-- name: leases.release
-- Gives a lease back.
delete from leases where name = %(name)s and holder = %(holder)s;
