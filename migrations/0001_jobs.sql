-- The job table is the only truth about a job; files and memory follow it.
-- Times are milliseconds since the Unix epoch. `strict`: SQLite checks the types.

create table jobs (
    -- Order of arrival; first come, first served within a priority. Never reused.
    seq integer primary key autoincrement,
    -- UUID v7, lower case, with hyphens.
    id text not null unique,
    status text not null default 'queued'
        check (status in ('queued', 'running', 'completed', 'failed', 'cancelled')),
    -- Higher is served first.
    priority integer not null,
    -- The SpeechRequest as JSON: checked when it was accepted, never changed.
    request text not null,
    -- Percent; 100 belongs to completed jobs alone.
    progress integer not null default 0 check (progress between 0 and 100),
    -- Counted from 1; 0 before the first.
    current_chunk integer not null default 0 check (current_chunk >= 0),
    total_chunks integer check (total_chunks > 0),
    created_at integer not null,
    -- Not before this time: a job that waits to be tried again.
    due_at integer not null,
    -- The first start.
    started_at integer,
    finished_at integer,
    -- A fresh random word for each start. Whoever works on the job names it in every write; a worker that lost its
    -- claim therefore changes nothing.
    claim text,
    starts integer not null default 0,
    -- Tries spent on failures of the device.
    retries integer not null default 0,
    -- Starts in a row that ended with the death of the process and without a new chunk.
    crashes integer not null default 0,
    error text,
    -- Within the outputs folder.
    output_file text,
    output_bytes integer,
    output_duration_ms integer,

    check ((status = 'running') = (claim is not null)),
    check ((status in ('completed', 'failed', 'cancelled')) = (finished_at is not null)),
    check ((status = 'completed') = (progress = 100)),
    check ((status = 'completed') = (output_file is not null)),
    check ((output_file is null) = (output_bytes is null)),
    check ((output_file is null) = (output_duration_ms is null)),
    check ((status = 'failed') = (error is not null))
) strict;

-- The queue in serving order; stays as small as the queue however long the history is.
create index jobs_queue on jobs (priority desc, seq) where status = 'queued';
create index jobs_running on jobs (seq) where status = 'running';
create index jobs_ended on jobs (finished_at) where finished_at is not null;
create index jobs_status on jobs (status);

-- A row says: this chunk is spoken and its file is synced. What it was spoken from stands beside it, so a restart can
-- tell whether the file is still what the job needs.
create table chunks (
    job_id text not null references jobs (id) on delete cascade,
    -- Counted from 0.
    position integer not null check (position >= 0),
    text text not null,
    model text not null,
    sample_rate integer not null check (sample_rate > 0),
    samples integer not null check (samples >= 0),
    spoken_at integer not null,
    -- 1 unless the file was lost or another model took over.
    takes integer not null default 1 check (takes >= 1),
    primary key (job_id, position)
) strict, without rowid;
