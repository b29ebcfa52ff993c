-- Send every new series of images to skipseg once nothing has been added to it for a while (StableAge, in seconds).
-- What skipseg sends back is a series too: segmentations, reports and contours are never sent on, so nothing goes round.

local images = { CT = true, MR = true, PT = true }

function OnStableSeries(seriesId, tags, metadata)
  if images[tags['Modality']] then
    SendAgainWhatFailed()
    local order = { Resources = { seriesId }, Synchronous = false }
    RestApiPost('/modalities/skipseg/store', DumpJson(order, true), false)
  end
end

-- Series that skipseg could not take, since it was down or its disk was short, are sent again with the next one.
function SendAgainWhatFailed()
  for _, job in pairs(ParseJson(RestApiGet('/jobs?expand', false))) do
    if job['Type'] == 'DicomModalityStore' and job['State'] == 'Failure' then
      RestApiPost('/jobs/' .. job['ID'] .. '/resubmit', '', false)
    end
  end
end
