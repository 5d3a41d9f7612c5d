-- Whose turn it is, what happened to each job, how it is found again, batches, and calls back.

-- Several jobs that were sent as one.
create table batches (
    -- UUID v7, lower case, with hyphens.
    id text primary key,
    title text not null,
    -- How many jobs it had; those that were deleted since are missed by this number.
    total integer not null check (total > 0),
    owner text not null,
    created_at integer not null,
    idempotency_key text,
    body_digest text,
    check ((idempotency_key is null) = (body_digest is null))
) strict, without rowid;

create unique index batches_idempotency on batches (owner, idempotency_key) where idempotency_key is not null;
create index batches_created on batches (created_at);

-- Whose job it is: the key that it was sent with; '' where there are no keys. Others do not see it.
alter table jobs add column owner text not null default '';
-- Between whom the queue is shared fairly: the key, else the address that it came from.
alter table jobs add column client text not null default '';
-- The work in it: characters of its text.
alter table jobs add column cost integer not null default 1 check (cost >= 1);
-- Its place within its priority, in units of cost (start-time fair queueing): a client's jobs stand one behind the other,
-- each client's first one where the queue is now. Equal turns go by arrival.
alter table jobs add column turn integer not null default 0 check (turn >= 0);
-- As in the request, where a sum over many jobs need not read their texts.
alter table jobs add column model text;
-- The client's word for this wish; sent again it means this job. Beside it the digest of the body that it came with.
alter table jobs add column idempotency_key text;
alter table jobs add column body_digest text check ((idempotency_key is null) = (body_digest is null));
-- Never expires.
alter table jobs add column favourite integer not null default 0 check (favourite in (0, 1));
-- The job that this one repeats.
alter table jobs add column rerun_of text;
-- Told when the job ends.
alter table jobs add column callback_url text;
alter table jobs add column batch_id text references batches (id);
-- Within its batch, counted from 0.
alter table jobs add column batch_position integer check ((batch_id is null) = (batch_position is null));
-- Milliseconds that its turn had come and its model was not ready, at the last start.
alter table jobs add column model_wait_ms integer;
-- Milliseconds to join, encode and sync the result.
alter table jobs add column encode_ms integer;

update jobs set cost = max(1, length(json_extract(request, '$.text'))), model = json_extract(request, '$.model');

drop index jobs_queue;
-- The queue in serving order.
create index jobs_queue on jobs (priority desc, turn, seq) where status = 'queued';
create index jobs_waiting on jobs (seq) where status = 'queued';
create index jobs_of_client on jobs (client, priority) where status = 'queued';
create unique index jobs_idempotency on jobs (owner, idempotency_key) where idempotency_key is not null;
create index jobs_of_batch on jobs (batch_id, batch_position) where batch_id is not null;
create index jobs_created on jobs (created_at);
create index jobs_of_owner on jobs (owner);
create index jobs_voice on jobs (json_extract(request, '$.voice'));
create index jobs_favourite on jobs (seq) where favourite = 1;
-- What retention by bytes adds up, without reading the rows.
create index jobs_bytes on jobs (finished_at, output_bytes) where output_bytes is not null and favourite = 0;

-- Milliseconds that speaking it took; null for chunks of older programs.
alter table chunks add column took_ms integer check (took_ms >= 0);
-- SHA-256 of the file; null for chunks of older programs.
alter table chunks add column digest text;

-- What clients have had, where it still matters: the turn at which their next job may stand. Rows that the queue has passed
-- are removed.
create table shares (
    priority integer not null,
    client text not null,
    turn_end integer not null,
    primary key (priority, client)
) strict, without rowid;

-- What happened to a job, written by the triggers below in the very statement that makes it happen. So no transition is
-- without its event, and no event without its transition. `seq` is the id that readers resume from.
create table events (
    seq integer primary key autoincrement,
    job_id text not null references jobs (id) on delete cascade,
    at integer not null,
    kind text not null check (kind in (
        'queued', 'started', 'planned', 'chunk', 'yielded', 'interrupted', 'retrying', 'retried',
        'completed', 'failed', 'cancelled'
    )),
    -- A JSON object.
    data text not null
) strict;

create index events_of_job on events (job_id, seq);
create index events_of_chunks on events (seq) where kind = 'chunk';

-- Calls back that are owed, and what became of them. Written by the trigger that sees a job end.
create table webhooks (
    seq integer primary key autoincrement,
    job_id text not null references jobs (id) on delete cascade,
    url text not null,
    -- The state that the job ended in.
    event text not null,
    created_at integer not null,
    state text not null default 'due' check (state in ('due', 'delivered', 'given up')),
    due_at integer not null,
    attempts integer not null default 0,
    -- Of the last attempt.
    problem text
) strict;

create index webhooks_due on webhooks (due_at) where state = 'due';
create index webhooks_of_job on webhooks (job_id);

-- The texts' words; the texts themselves are in the requests.
create virtual table jobs_text using fts5 (
    text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
insert into jobs_text (rowid, text) select seq, json_extract(request, '$.text') from jobs;

create trigger job_added after insert on jobs begin
    insert into events (job_id, at, kind, data)
        values (new.id, new.created_at, 'queued', json_object('priority', new.priority, 'characters', new.cost));
    insert into jobs_text (rowid, text) values (new.seq, json_extract(new.request, '$.text'));
end;

create trigger job_moved after update of status on jobs when new.status <> old.status begin
    insert into events (job_id, at, kind, data) values (
        new.id,
        coalesce(new.finished_at, cast(unixepoch('subsec') * 1000 as integer)),
        case
            when new.status = 'running' then 'started'
            when new.status <> 'queued' then new.status
            when old.status = 'failed' then 'retried'
            when new.retries > old.retries then 'retrying'
            when new.starts < old.starts then 'yielded'
            else 'interrupted'
        end,
        case new.status
            when 'running' then json_object('start', new.starts, 'model_wait_ms', new.model_wait_ms)
            when 'completed' then json_object(
                'bytes', new.output_bytes, 'duration_ms', new.output_duration_ms, 'encode_ms', new.encode_ms
            )
            when 'failed' then json_object('error', new.error)
            when 'queued' then json_object('due_at', new.due_at, 'reason', new.waits_for)
            else json_object()
        end
    );
end;

create trigger job_ended after update of status on jobs
when new.finished_at is not null and old.finished_at is null and new.callback_url is not null begin
    insert into webhooks (job_id, url, event, created_at, due_at)
        values (new.id, new.callback_url, new.status, new.finished_at, new.finished_at);
end;

create trigger job_planned after update of total_chunks on jobs when new.total_chunks is not old.total_chunks begin
    insert into events (job_id, at, kind, data) values (
        new.id, cast(unixepoch('subsec') * 1000 as integer), 'planned', json_object('total_chunks', new.total_chunks)
    );
end;

create trigger job_removed after delete on jobs begin
    delete from jobs_text where rowid = old.seq;
end;

create trigger chunk_spoken after insert on chunks begin
    insert into events (job_id, at, kind, data) values (new.job_id, new.spoken_at, 'chunk', json_object(
        'chunk', new.position + 1, 'characters', length(new.text), 'model', new.model, 'took_ms', new.took_ms,
        'duration_ms', new.samples * 1000 / new.sample_rate
    ));
end;

create trigger chunk_spoken_again after update of spoken_at on chunks begin
    insert into events (job_id, at, kind, data) values (new.job_id, new.spoken_at, 'chunk', json_object(
        'chunk', new.position + 1, 'characters', length(new.text), 'model', new.model, 'took_ms', new.took_ms,
        'duration_ms', new.samples * 1000 / new.sample_rate, 'take', new.takes
    ));
end;
