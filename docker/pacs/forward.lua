-- Send every new series of images to skipseg once nothing has been added to it for a while (StableAge, in seconds).
-- What skipseg sends back is a series too: segmentations, reports and contours are never sent on, so nothing goes round.

local images = { CT = true, MR = true, PT = true }

function OnStableSeries(seriesId, tags, metadata)
  if images[tags['Modality']] then
    SendToModality(seriesId, 'skipseg')
  end
end
