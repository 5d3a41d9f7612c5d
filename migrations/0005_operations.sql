-- Whether the queue takes jobs and speaks them, when each job was first heard, and what its device has done to it.

-- One row. It is in the table and not in memory, so that the command line can change it and a restart keeps it.
create table queue (
    only integer primary key check (only = 1),
    state text not null check (state in ('running', 'paused', 'draining')),
    -- Since when, in milliseconds since the Unix epoch.
    since integer not null
) strict;
insert into queue (only, state, since) values (1, 'running', cast(unixepoch('subsec') * 1000 as integer));

-- When the first sound of it was there: its first chunk, or the first block of it where somebody listened.
alter table jobs add column first_audio_at integer;
-- Failures of the device since it was accepted, or retried by hand: each makes the next try more careful.
alter table jobs add column device_failures integer not null default 0 check (device_failures >= 0);
