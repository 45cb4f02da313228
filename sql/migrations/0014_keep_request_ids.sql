-- A request id that was sent without keep_request_id is kept from the call on that asks for it.

grant update (kept) on idempotency_keys to memory_layer_tenant;
