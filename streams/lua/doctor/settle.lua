#!lua flags=allow-oom
-- settle: set a job's counters to what its register and parked lists have, and forget dead tasks without a letter.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 job record
-- ARGV   most fields of a record
-- RETURN {fields changed, 1 when nothing of the job is open} | -9 the record is too large
local widest = num_arg()
local prefix = string.sub(LIFECYCLE, 1, PREFIX_LENGTH)
if redis.call('HLEN', KEYS[5]) > widest then return IS_WIDE end
local job, fields, missing, changed_count = string.sub(KEYS[5], #prefix + 5), fields_of(KEYS[5]), {}, 0
local counted = recount(prefix, job, fields, missing)
if not fields.status then return {0, 0} end
for i = 1, #missing do
  if missing[i][2] == 'no_letter' then
    redis.call('HDEL', KEYS[5], 'task.' .. missing[i][1])
    counted.dead = counted.dead - 1
    changed_count = changed_count + 1
  end
end
for name, value in pairs(counted) do
  if tonumber(fields[name] or 0) ~= value then
    redis.call('HSET', KEYS[5], name, value)
    changed_count = changed_count + 1
  end
end
local is_idle = counted.work + counted.tail == 0 and not ENDED[fields.status]
return {changed_count, is_idle and 1 or 0}
