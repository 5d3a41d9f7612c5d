-- Keys: who may ask, for what, and how much.

create table keys (
    -- UUID v7, lower case, with hyphens; what `owner` and `client` of jobs say. Rows stay after a key is revoked, so an id
    -- never means somebody else.
    id text primary key,
    name text not null,
    -- SHA-256 of the key, in hexadecimal. The key itself is kept nowhere.
    digest text not null unique,
    -- Its first characters, by which its holder knows it.
    hint text not null,
    -- Words with commas between: speak, voices, admin.
    scopes text not null,
    -- Null is what the settings say, 0 is no limit.
    characters_per_minute integer check (characters_per_minute >= 0),
    audio_seconds_per_day integer check (audio_seconds_per_day >= 0),
    created_at integer not null,
    revoked_at integer,
    -- Noted at most once a minute.
    last_used_at integer,
    -- Thousandths of characters that still counted against the minute at `spent_at`; they run out at the limit's own pace.
    spent integer not null default 0 check (spent >= 0),
    spent_at integer not null default 0
) strict, without rowid;

create unique index keys_name on keys (name) where revoked_at is null;

-- Browsers that were given a key: a word of its own in a cookie, so that no page and no other port learns the key.
create table sessions (
    -- SHA-256 of the word, in hexadecimal.
    digest text primary key,
    key_id text not null references keys (id),
    created_at integer not null,
    expires_at integer not null
) strict, without rowid;

create index sessions_of_key on sessions (key_id, created_at);

-- Audio made for each owner on each day (days since the Unix epoch, in UTC). It outlives the jobs that it was made by.
create table audio_made (
    owner text not null,
    day integer not null,
    milliseconds integer not null check (milliseconds >= 0),
    primary key (owner, day)
) strict, without rowid;

-- Counted in the statement that completes a job, so nothing is made uncounted and nothing is counted twice.
create trigger audio_counted after update of status on jobs
when new.status = 'completed' and old.status <> 'completed' and new.owner <> '' begin
    insert into audio_made (owner, day, milliseconds)
        values (new.owner, new.finished_at / 86400000, new.output_duration_ms)
        on conflict (owner, day) do update set milliseconds = milliseconds + excluded.milliseconds;
end;

-- The work that an owner has waiting, as one sum.
create index jobs_ahead_of_owner on jobs (owner, cost) where finished_at is null and owner <> '';
