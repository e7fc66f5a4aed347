import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.c2mtf.demo"
    compileSdk = 36

    defaultConfig {
        applicationId = "org.c2mtf.demo"
        minSdk = 24
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }

    // The model is read in place, so it must not be compressed.
    androidResources {
        noCompress += "tflite"
    }
}

kotlin {
    compilerOptions {
        jvmTarget.set(JvmTarget.JVM_11)
    }
}

dependencies {
    implementation(project(":core"))
    implementation(libs.litert)
    implementation(libs.litert.gpu)
}

val checkModel by tasks.registering {
    description = "Fails in plain words when the model is missing."
    val assets = layout.projectDirectory.dir("src/main/assets").asFile
    doLast {
        val descriptions = assets.listFiles { file -> file.name.endsWith(".json") }.orEmpty()
        val models = assets.listFiles { file -> file.name.endsWith(".tflite") }.orEmpty()
        val named = descriptions.map { it.name.removeSuffix(".json") } == models.map { it.name.removeSuffix(".tflite") }
        if (models.size != 1 || !named) {
            throw GradleException(
                "app/src/main/assets must hold one model, a .tflite and a .json of the same name; it holds " +
                    "${models.size} .tflite and ${descriptions.size} .json. In the repository's root, run:\n" +
                    "  c2m-tf export tflite --model mobile --precision int8 " +
                    "-o android_demo/app/src/main/assets/c2m_mobile_int8.tflite",
            )
        }
    }
}

tasks.named("preBuild") { dependsOn(checkModel) }
