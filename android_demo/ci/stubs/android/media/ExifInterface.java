package android.media;

import java.io.IOException;
import java.io.InputStream;

/** What Android 7 (API 24) has and the android.jar of API 23 lacks: reading from a stream. */
public class ExifInterface {
    public static final String TAG_ORIENTATION = "Orientation";
    public static final int ORIENTATION_NORMAL = 1;
    public static final int ORIENTATION_FLIP_HORIZONTAL = 2;
    public static final int ORIENTATION_ROTATE_180 = 3;
    public static final int ORIENTATION_FLIP_VERTICAL = 4;
    public static final int ORIENTATION_TRANSPOSE = 5;
    public static final int ORIENTATION_ROTATE_90 = 6;
    public static final int ORIENTATION_TRANSVERSE = 7;
    public static final int ORIENTATION_ROTATE_270 = 8;

    public ExifInterface(InputStream stream) throws IOException {
    }

    public int getAttributeInt(String tag, int otherwise) {
        return otherwise;
    }
}
