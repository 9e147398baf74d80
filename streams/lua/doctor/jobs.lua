#!lua flags=no-writes
-- jobs: some jobs' records, held against the streams, timers, dead letters and parked lists that they name.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. job records
-- ARGV   tasks to look at before the rest is left for the next call (a record counts as three), most fields of a record
-- RETURN {records looked at, {job, task, 'no_entry' or 'no_timer' or 'no_letter', register} for each task that is
--        not where it should be, {job, '', 'counters', field wrong counted ...} for each job, {job, '', 'nothing_left',
--        status} for one that goes on with nothing to do, {job, '', 'wide', fields} for one that is too large to look at}
local budget, widest = num_arg(), num_arg()
local prefix = string.sub(LIFECYCLE, 1, PREFIX_LENGTH)
local wrong, looked = {}, 0
for k = 5, #KEYS do
  local size = redis.call('HLEN', KEYS[k])
  if looked > 0 and budget < size then break end
  looked, budget = looked + 1, budget - 3
  local job = string.sub(KEYS[k], #prefix + 5)
  if size > widest then
    wrong[#wrong + 1] = {job, '', 'wide', tostring(size)}
  elseif size > 0 then
    local fields, missing = fields_of(KEYS[k]), {}
    local counted = recount(prefix, job, fields, missing)
    for i = 1, #missing do wrong[#wrong + 1] = {job, missing[i][1], missing[i][2], missing[i][3]} end
    budget = budget - counted.work - counted.tail - counted.dead
    local differ = {}
    for name, value in pairs(counted) do
      if tonumber(fields[name] or 0) ~= value then
        differ[#differ + 1] = name .. ' ' .. (fields[name] or 0) .. ' ' .. value
      end
    end
    table.sort(differ)
    if #differ > 0 then wrong[#wrong + 1] = {job, '', 'counters', table.concat(differ, ', ')} end
    if counted.work + counted.tail == 0 and not ENDED[fields.status] then
      wrong[#wrong + 1] = {job, '', 'nothing_left', fields.status or ''}
    end
  end
end
return {looked, wrong}
