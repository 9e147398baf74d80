-- recount: a job's counters as its register and parked lists have them.
local ALL_STAGES = {'crawl', 'classify', 'download', 'extract', 'compile', 'notify'}
local ENDED = {succeeded = true, partial = true, failed = true, cancelled = true, expired = true}
local function fields_of(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end
-- Counters by field name. How many parked tasks are spilled only the record knows.
local function recount(prefix, job, fields, missing)
  local counted = {work = 0, tail = 0, delayed = 0, dead = 0}
  for i = 1, #ALL_STAGES do counted[ALL_STAGES[i] .. '.open'] = 0 end
  for name, value in pairs(fields) do
    local task = string.match(name, '^task%.(%d+)$')
    if task then
      local stage, lost, kind = look_at(prefix, job, task, value)
      if lost then missing[#missing + 1] = {task, lost, value} end
      if kind == 'dead' then
        counted.dead = counted.dead + 1
      else
        counted[stage .. '.open'] = counted[stage .. '.open'] + 1
        if kind == 'delayed' then counted.delayed = counted.delayed + 1 end
      end
    end
  end
  for i = 1, #ALL_STAGES do
    local stage = ALL_STAGES[i]
    local open = stage .. '.open'
    if i < 5 and tonumber(fields[open] or 0) ~= counted[open] then
      local parked = prefix .. 'job:' .. job .. ':parked:' .. stage
      counted[open] = counted[open] + redis.call('LLEN', parked) + tonumber(fields[stage .. '.spilled'] or 0)
    end
    local counter = i < 5 and 'work' or 'tail'
    counted[counter] = counted[counter] + counted[open]
  end
  return counted
end
