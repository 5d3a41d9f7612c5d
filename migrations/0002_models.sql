-- Several models: a job names the one that speaks it (in its request), and that one may not be there at the moment.

-- Why a job waits although its turn has come, as a sentence: its model could not be loaded and is tried again at due_at.
alter table jobs add column waits_for text check (waits_for is null or status = 'queued');
