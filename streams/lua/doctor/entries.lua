#!lua flags=no-writes
-- entries: one page of a stage stream, or of the dead letters, held against the jobs that the entries name.
-- A job's record is named by its entry: it has this partition's hash tag, so it is in the same slot.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 stream
-- ARGV   where to begin (as XRANGE), entries to look at, 1 for the dead letters
-- RETURN {entries seen, id of the last one, {id, job, task, 'no_job' or 'not_issued'} for each that is wrong}
local from, count, is_dead = arg(), num_arg(), arg() == '1'
local prefix = string.sub(LIFECYCLE, 1, PREFIX_LENGTH)
local rows, wrong, last = redis.call('XRANGE', KEYS[5], from, '+', 'COUNT', count), {}, ''
for i = 1, #rows do
  local flat, job, task = rows[i][2], nil, nil
  last = rows[i][1]
  for f = 1, #flat, 2 do
    if flat[f] == 'job' then job = flat[f + 1] elseif flat[f] == 'task' then task = flat[f + 1] end
    if job and task then break end
  end
  -- Without a job it is from outside, and becomes one; a stray among the dead names none that was issued.
  if job and job ~= '' then
    local found = redis.pcall('HMGET', prefix .. 'job:' .. job, 'status', 'task.' .. (task or ''))
    local status, register = found[1], found[2]
    local here = is_dead and 'dead ' .. last or place(KEYS[5], last)
    local is_stray = is_dead and flat[#flat - 1] == 'fields'
    if not is_stray and (found.err or not status) then
      wrong[#wrong + 1] = {last, job, task or '', 'no_job'}
    elseif not is_stray and not (register and (register == here or string.sub(register, 1, #here + 1) == here .. ' ')) then
      wrong[#wrong + 1] = {last, job, task or '', 'not_issued'}
    end
  end
end
return {#rows, last, wrong}
