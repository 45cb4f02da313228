-- expression: filters.column
-- A column of the table, or of a projection that repeats it under the same name.
{alias}.{name}

-- expression: filters.archived_at
-- Whether a message is archived, where the table says when. Postgres makes `archived_at is null` of its `not`, as
-- partial indexes have it.
({alias}.archived_at is not null)

-- expression: filters.key
-- The key of an identifier, in a projection.
{column} = {value}::bigint

-- expression: filters.key_present
-- Whether there is an identifier; 0 stands for none.
{column} <> 0

-- expression: filters.initial
-- A role by its first letter, in a projection.
{column} = {value}::"char"

-- expression: filters.text
-- Text against text, code point by code point.
{column} {operator} {value}::text collate "C"

-- expression: filters.number
-- Number against number.
{column} {operator} {value}::double precision

-- expression: filters.time
-- Moment against moment.
{column} {operator} {value}::timestamptz

-- expression: filters.flag_off
-- A flag that is false. One that is true is the column itself; neither needs a parameter, so partial indexes are found.
not {column}

-- expression: filters.present
-- A column that is not null, or a key that is there: its value may be the JSON null.
{column} is not null

-- expression: filters.negated
-- What is not so, or is about something absent.
({expression}) is not true

-- expression: filters.member
-- What an object has under a key. Its right side is text, so nothing else than an object has anything there: a number
-- would count the items of an array.
({json} -> {value}::text)

-- expression: filters.json_equal
-- JSON of the same type and value; numbers are numeric.
{json} = {value}::jsonb

-- expression: filters.json_contains
-- An object that holds an object, an array that holds a scalar, a scalar that is equal.
{json} @> {value}::jsonb

-- expression: filters.json_text
-- A JSON string against text, code point by code point. Nothing is cast, so nothing can fail, whatever is worked out first.
jsonb_typeof({json}) = 'string' and ({json} #>> '{}') {operator} {value}::text collate "C"

-- expression: filters.json_number
-- A JSON number against a number: jsonb orders numbers as numeric does. Nothing is cast here either.
jsonb_typeof({json}) = 'number' and {json} {operator} {value}::jsonb

-- expression: filters.json_reads
-- JSON that, written as text, reads as given; a string is written without quotes.
({json} #>> '{}') = {value}::text collate "C"
