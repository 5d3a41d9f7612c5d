-- Pages of a long history, whatever is asked for. Before, with a million jobs behind it, a search by the beginning of a word that
-- all texts have took 140 ms, and a voice or an owner together with a state that hardly any job is in took seconds.

-- Whose text it is, so that a search costs no more than what its owner has.
drop table jobs_text;
create virtual table jobs_text using fts5 (
    text, whose, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
insert into jobs_text (rowid, text, whose) select seq, json_extract(request, '$.text'), owner from jobs;

-- The words themselves, in order: those that a beginning stands for.
create virtual table jobs_words using fts5vocab (jobs_text, instance);

drop trigger job_added;
create trigger job_added after insert on jobs begin
    insert into events (job_id, at, kind, data)
        values (new.id, new.created_at, 'queued', json_object('priority', new.priority, 'characters', new.cost));
    insert into jobs_text (rowid, text, whose) values (new.seq, json_extract(new.request, '$.text'), new.owner);
end;

-- A page names the states that it shows, so each of these is in the order of arrival within what is asked for.
drop index jobs_of_owner;
drop index jobs_voice;
create index jobs_of_owner on jobs (owner, status);
create index jobs_voice on jobs (json_extract(request, '$.voice'), status);
