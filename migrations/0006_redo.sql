-- Chunks of completed jobs that are spoken again.

-- The job a chunk of which this one speaks again, and which chunk, counted from 0.
alter table jobs add column redo_of text;
alter table jobs add column redo_chunk integer check ((redo_of is null) = (redo_chunk is null));
create index jobs_redo on jobs (redo_of) where redo_of is not null;

-- How often the result was replaced since the job completed; two names of files take turns.
alter table jobs add column revision integer not null default 0 check (revision >= 0);
-- The same for a chunk, whose file is named after it.
alter table chunks add column version integer not null default 0 check (version >= 0);
